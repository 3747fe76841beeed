// The steps of a scenario: what a form shows of them, and each change as a new value. Pure. What the form does not know
// stays as it is written.
import { freeName } from "./names";
import { get, isObject, omit, type Path } from "./paths";

export type Step = Record<string, unknown>;
export type StepKind = "request" | "think" | "repeat" | "while" | "when" | "choose" | "use" | "other";

/** A request can be written with its method as the key: `GET: /users`. */
export const SHORT_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] as const;

const ACTIONS: readonly StepKind[] = ["think", "repeat", "while", "when", "choose", "use"];

export function stepKind(step: unknown): StepKind {
    if (!isObject(step)) return "other";
    const found: StepKind[] = ACTIONS.filter((key) => isSet(step[key]));
    if (urlKey(step)) found.push("request");
    const [only, ...more] = found;
    // Two actions in a step are a mistake, which stays as it is written.
    return only && !more.length ? only : "other";
}

/** An empty value in YAML is as good as none. */
function isSet(value: unknown): boolean {
    return value !== undefined && value !== null;
}

function urlKey(step: Step): string | undefined {
    const keys = ["url", ...SHORT_METHODS].filter((key) => isSet(step[key]));
    return keys.length === 1 ? keys[0] : undefined;
}

/** The method and the URL of a request, and the key that holds the URL. */
export function requestOf(step: Step): { method: string; url: string; key: string } {
    const key = urlKey(step) ?? "url";
    return { method: key === "url" ? written(step.method) : key, url: written(step[key]), key };
}

/** The step with another method: in short form if it was short and that method has one. */
export function withMethod(step: Step, method: string): Step {
    const { key } = requestOf(step);
    if (key === "url") return method ? put(step, "method", method) : omit(step, "method");
    if ((SHORT_METHODS as readonly string[]).includes(method)) return renamed(step, key, method);
    const long = renamed(step, key, "url");
    return method ? put(long, "method", method) : long;
}

export function withUrl(step: Step, url: string): Step {
    return put(step, requestOf(step).key, url);
}

function put(step: Step, key: string, value: unknown): Step {
    return { ...step, [key]: value };
}

/** A copy in which one key has another name, in the same place. */
export function renamed<Value>(data: Record<string, Value>, from: string, to: string): Record<string, Value> {
    return Object.fromEntries(Object.entries(data).map(([name, value]) => [name === from ? to : name, value]));
}

/** What a step is called: its name, else its request as written. */
export function stepName(step: Step): string {
    if (step.name) return written(step.name);
    const { method, url } = requestOf(step);
    return url ? `${method || "GET"} ${url}` : "request";
}

/** A new step of a kind, as short as it can be written. */
export function newStep(kind: StepKind): Step {
    switch (kind) {
        case "think":
            return { think: "1s..3s" };
        case "repeat":
            return { repeat: 3, steps: [newStep("request")] };
        case "while":
            return { while: "", at_most: 10, steps: [newStep("request")] };
        case "when":
            return { when: "", steps: [newStep("request")] };
        case "choose":
            return {
                choose: [
                    { weight: 1, steps: [newStep("request")] },
                    { weight: 1, steps: [] },
                ],
            };
        case "use":
            return { use: "" };
        default:
            return { GET: "" };
    }
}

/** The lists of steps inside a step: the key that leads to each, and what it is called. */
export function branchesOf(step: Step): { path: Path; label: string }[] {
    switch (stepKind(step)) {
        case "repeat":
        case "while":
            return [{ path: ["steps"], label: "Steps of a round" }];
        case "when":
            return [
                { path: ["steps"], label: "If it is true" },
                ...(step.otherwise === undefined ? [] : [{ path: ["otherwise"], label: "Otherwise" }]),
            ];
        case "choose":
            return (Array.isArray(step.choose) ? step.choose : []).map((_, index) => ({
                path: ["choose", index, "steps"],
                label: `Branch ${index + 1}`,
            }));
        default:
            return [];
    }
}

/** What follows a failure, as a form offers it. */
export const ON_FAIL = [
    { value: "", label: "Default" },
    { value: "continue", label: "Continue" },
    { value: "end_iteration", label: "End the iteration" },
    { value: "stop_user", label: "Stop the user" },
    { value: "stop_run", label: "Stop the run" },
] as const;

// Lists

export function inserted<Item>(list: readonly Item[], at: number, item: Item): Item[] {
    return list.toSpliced(at, 0, item);
}

export function moved<Item>(list: readonly Item[], from: number, by: number): Item[] {
    const to = from + by;
    const item = list[from];
    if (item === undefined || to < 0 || to >= list.length) return [...list];
    return list.toSpliced(from, 1).toSpliced(to, 0, item);
}

export function without<Item>(list: readonly Item[], index: number): Item[] {
    return list.toSpliced(index, 1);
}

/** The list with a copy of a step behind it; a name is free again in it. */
export function duplicated(list: readonly Step[], index: number, taken: readonly string[]): Step[] {
    const step = list[index];
    if (step === undefined) return [...list];
    return inserted(list, index + 1, copied(step, [...taken]));
}

function copied(step: Step, taken: string[]): Step {
    const made = structuredClone(step);
    for (const each of requestsIn([made])) {
        if (!each.name) continue;
        each.name = freeName(written(each.name), taken);
        taken.push(written(each.name));
    }
    return made;
}

/** Each request in steps, those of groups included. */
export function requestsIn(steps: unknown): Step[] {
    if (!Array.isArray(steps)) return [];
    return (steps as unknown[]).flatMap((step) => {
        if (!isObject(step)) return [];
        if (stepKind(step) === "request") return [step];
        return branchesOf(step).flatMap(({ path }) => requestsIn(get(step, path)));
    });
}

/** The names of the requests of a list. */
export function namesIn(steps: unknown): string[] {
    return requestsIn(steps)
        .map((step) => written(step.name))
        .filter(Boolean);
}

/** A text of a spec; what is none has no place in a field. */
function written(value: unknown): string {
    return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}
