// The load of a spec as a form shows it, in whichever way it was written, and written back. Pure.
import { isObject, omit, set } from "./paths";
import { type Load, seconds, type Spec, type Stage } from "./spec";

export type Model = "closed" | "open";
export type Shape = "constant" | "stages";

/** The load object that says the same as the flat fields (`concurrency`, `requests_per_second`). */
export function loadOf(spec: Spec): Load {
    if (isObject(spec.load)) return spec.load;
    if (spec.requests_per_second !== undefined && spec.requests_per_second !== null) {
        const load: Load = { model: "open", rate: spec.requests_per_second };
        if (spec.concurrency !== undefined) load.max_in_flight = spec.concurrency;
        return load;
    }
    return { model: "closed", users: spec.concurrency ?? 10 };
}

/** The spec with another load; the flat fields go, for they would say the same twice. */
export function withLoad(spec: Spec, load: Load): Spec {
    const rest = omit(spec, "concurrency", "requests_per_second");
    // Stages have a length of their own: a duration from before would cut them off.
    const becomesStages = shapeOf(load) === "stages" && shapeOf(loadOf(spec)) === "constant";
    return set<Spec>(becomesStages ? omit(rest, "duration", "duration_seconds") : rest, ["load"], load);
}

export function modelOf(load: Load): Model {
    if (load.model === "open" || load.model === "closed") return load.model;
    return load.rate !== undefined ? "open" : "closed";
}

export function shapeOf(load: Load): Shape {
    return Array.isArray(load.stages) ? "stages" : "constant";
}

const ONLY: Record<Model, readonly string[]> = {
    open: ["rate", "arrival", "on_saturation", "catch_up", "catch_up_max", "catch_up_max_seconds", "max_in_flight"],
    closed: ["users", "max_rate"],
};

/** Another model, with what belongs to the one before left out. */
export function asModel(load: Load, model: Model): Load {
    if (modelOf(load) === model) return load;
    const kept = Object.entries(load).filter(([name]) => !ONLY[modelOf(load)].includes(name) && name !== "model");
    const level = load.stages ? {} : model === "open" ? { rate: 50 } : { users: 10 };
    return { model, ...level, ...Object.fromEntries(kept) };
}

export function asShape(load: Load, shape: Shape): Load {
    if (shapeOf(load) === shape) return load;
    const open = modelOf(load) === "open";
    const { stages, users, rate, ...rest } = omit(load, "start");
    if (shape === "constant") {
        const peak = Math.max(
            ...(stages ?? []).map((stage) => (typeof stage.target === "number" ? stage.target : 0)),
            0,
        );
        return { ...rest, model: modelOf(load), ...(open ? { rate: peak || 50 } : { users: Math.ceil(peak) || 10 }) };
    }
    const level = Number(open ? rate : users) || (open ? 50 : 10);
    return {
        ...rest,
        model: modelOf(load),
        stages: [
            { duration: "10s", target: level },
            { duration: "1m", target: level },
            { duration: "10s", target: 0 },
        ],
    };
}

/**
 * The spec with a load of that shape, as long as before: stages have their own length, and a `duration` beside them would
 * cut them off.
 */
export function withShape(spec: Spec, shape: Shape): Spec {
    const load = loadOf(spec);
    if (shapeOf(load) === shape) return spec;
    const next = asShape(load, shape);
    if (shape === "constant") {
        const lengths = (load.stages ?? []).map((stage) => seconds(stage.duration) ?? 0);
        const length = lengths.reduce((sum, each) => sum + each, 0);
        const duration = spec.duration ?? (length > 0 ? `${length}s` : undefined);
        return withLoad(set<Spec>(spec, ["duration"], duration), next);
    }
    const held = spec.duration ?? spec.duration_seconds;
    const stages = (next.stages ?? []).map((stage, index) =>
        index === 1 && held !== undefined ? { ...stage, duration: held as string } : stage,
    );
    return withLoad(omit(spec, "duration", "duration_seconds"), { ...next, stages });
}

/** A scenario with its own load in that shape; as `withShape`. */
export function withShapeOfOne(scenario: Record<string, unknown>, shape: Shape): Record<string, unknown> {
    const load = isObject(scenario.load) ? scenario.load : {};
    const { load: next, duration } = withShape({ load, duration: scenario.duration as string | undefined }, shape);
    return { ...omit(scenario, "duration"), load: next, ...(duration === undefined ? {} : { duration }) };
}

export function withStage(load: Load, index: number, change: Partial<Stage>): Load {
    return {
        ...load,
        stages: (load.stages ?? []).map((stage, place) => (place === index ? { ...stage, ...change } : stage)),
    };
}

export interface Preset {
    id: string;
    label: string;
    says: string;
    fields: Pick<Spec, "load" | "duration" | "total_requests">;
}

export const PRESETS: readonly Preset[] = [
    {
        id: "smoke",
        label: "Smoke",
        says: "10 users, 30 s",
        fields: { load: { model: "closed", users: 10 }, duration: "30s" },
    },
    {
        id: "steady",
        label: "Steady",
        says: "50 /s, 1 min",
        fields: { load: { model: "open", rate: 50 }, duration: "1m" },
    },
    {
        id: "ramp",
        label: "Ramp",
        says: "to 200 /s in 1 min",
        fields: {
            load: {
                model: "open",
                stages: [
                    { duration: "1m", target: 200 },
                    { duration: "1m", target: 200 },
                    { duration: "15s", target: 0 },
                ],
            },
        },
    },
];

export function withPreset(spec: Spec, preset: Preset): Spec {
    const rest = omit(
        spec,
        "concurrency",
        "requests_per_second",
        "load",
        "duration",
        "duration_seconds",
        "total_requests",
    );
    return { ...rest, ...structuredClone(preset.fields) };
}

export function presetOf(spec: Spec): string {
    const fields = JSON.stringify([spec.load, spec.duration, spec.total_requests]);
    return (
        PRESETS.find(({ fields: own }) => JSON.stringify([own.load, own.duration, own.total_requests]) === fields)
            ?.id ?? "custom"
    );
}
