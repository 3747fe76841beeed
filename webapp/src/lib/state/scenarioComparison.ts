// Scenarios and checks of two runs side by side. Pure.
import type { CompareAnswer, Difference } from "$lib/api/schema";
import { count, NO_DATA, share } from "$lib/format";

import { changeText, type EndpointChange, figure, judged, labelOf } from "./comparison";

export type ComparedScenario = CompareAnswer["scenarios"][number];

export interface ScenarioRow {
    label: string;
    a: string;
    b: string;
    change: string;
    better: boolean | null;
}

const FIGURES = [
    "iteration_time_p50_ms",
    "iteration_time_p95_ms",
    "iteration_time_p99_ms",
    "active_time_p95_ms",
    "iteration_error_rate",
    "missed",
    "iterations_per_second",
];

/** The figures of a scenario of both runs, then the share of iterations that reached each step. */
export function scenarioRows(scenario: ComparedScenario): ScenarioRow[] {
    const of = (name: string): Difference | undefined => scenario.differences.find((each) => each.name === name);
    const [time, active] = [of("iteration_time_p95_ms"), of("active_time_p95_ms")];
    const thinks = time?.a !== active?.a || time?.b !== active?.b;
    const rows = FIGURES.flatMap((name): ScenarioRow[] => {
        const found = of(name);
        if (!found || (name === "active_time_p95_ms" && !thinks)) return [];
        if (name === "missed" && !found.a && !found.b) return [];
        return [
            {
                label: name === "missed" ? "missed iterations" : labelOf(name),
                a: figure(name, found.a),
                b: figure(name, found.b),
                change: changeText(found),
                better: judged(found),
            },
        ];
    });
    return [...rows, ...stepRows(scenario)];
}

function stepRows({ a, b }: ComparedScenario): ScenarioRow[] {
    if (!a || !b) return [];
    const names = [...new Set([...a.steps, ...b.steps].map((step) => step.name))];
    return names.map((name) => {
        const [ofA, ofB] = [a, b].map((side) => side.steps.find((step) => step.name === name));
        const text = (step: typeof ofA): string => (step ? share(step.reached_share) : NO_DATA);
        return { label: `reached ${name}`, a: text(ofA), b: text(ofB), change: "", better: null };
    });
}

export interface CheckRow {
    name: string;
    endpoint: string;
    a: string;
    b: string;
    better: boolean | null;
}

/** The checks that failed or were not evaluated in one of the runs, those that became worse first. */
export function checkRows(answer: CompareAnswer): CheckRow[] {
    type Side = (typeof answer.checks)[number]["a"];
    const text = (side: Side): string => {
        if (!side) return "not in this run";
        return side.passed + side.failed
            ? `${share(side.passed_share)} of ${count(side.passed + side.failed)}`
            : "never evaluated";
    };
    const passes = (side: Side): boolean => Boolean(side && side.passed && !side.failed);
    return answer.checks
        .filter(({ a, b }) => !passes(a) || !passes(b))
        .map(({ name, endpoint, a, b }) => {
            const [before, after] = [a?.passed_share ?? null, b?.passed_share ?? null];
            const differs = before !== null && after !== null && Math.abs(after - before) >= 0.005 * before;
            return {
                name,
                endpoint,
                a: text(a),
                b: text(b),
                better: differs && after !== before ? after > before : null,
            };
        })
        .toSorted((x, y) => rank(x) - rank(y));
}

const rank = ({ better }: CheckRow): number => (better === false ? 0 : better === null ? 1 : 2);

/** Endpoints by the scenario whose steps they are, under their names in it; the others, and those of a spec without scenarios, last. */
export function byScenario(
    answer: CompareAnswer,
    changes: readonly EndpointChange[],
): { scenario: string; rows: EndpointChange[] }[] {
    const groups = answer.scenarios.map(({ name, a, b }) => {
        const steps = [a, b].flatMap((side) => [...(side?.before_user ?? []), ...(side?.steps ?? [])]);
        const endpoints = new Set(steps.map((step) => step.endpoint));
        const rows = changes.filter((change) => endpoints.has(change.name));
        return {
            scenario: name,
            rows: rows.map((row) => ({
                ...row,
                name: row.name.startsWith(`${name}/`) ? row.name.slice(name.length + 1) : row.name,
            })),
            endpoints,
        };
    });
    const others = changes.filter((change) => !groups.some(({ endpoints }) => endpoints.has(change.name)));
    return [...groups, { scenario: "", rows: others }].filter(({ rows }) => rows.length);
}
