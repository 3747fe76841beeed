// The scenarios and checks of a run, of a window of it or of what has run so far, in one shape. Pure.
import type { CheckFigures, ScenarioMetrics, ScenarioSoFar } from "$lib/api/schema";
import { count, shown } from "$lib/format";

export type Scenario = ScenarioMetrics | ScenarioSoFar;

/** Where the iterations of a scenario went, as a sum that adds up: `30 started = 20 completed + 8 failed + …`. */
export function books(scenario: Scenario): string {
    const number = (value: number): string => shown(count(value));
    const ends = `${number(scenario.completed)} completed + ${number(scenario.failed)} failed`;
    const rest =
        "unfinished" in scenario
            ? { number: scenario.unfinished, word: "unfinished" }
            : { number: scenario.started - scenario.completed - scenario.failed, word: "in progress" };
    // A window cuts through iterations at both ends: there, the parts are no sum.
    const adds = rest.number >= 0 && scenario.started === scenario.completed + scenario.failed + rest.number;
    const sum = adds
        ? `${number(scenario.started)} started = ${ends} + ${number(rest.number)} ${rest.word}`
        : `${number(scenario.started)} started, ${ends}`;
    return scenario.missed ? `${sum} · ${number(scenario.missed)} missed` : sum;
}

/** Whether any iteration had think time, so that its time without is another one. */
export function thinks({ iteration_time, active_time }: Scenario): boolean {
    return iteration_time.p50_ms !== active_time.p50_ms || iteration_time.max_ms !== active_time.max_ms;
}

/** Failed checks first, by how often; then those that were never evaluated; then the others, as the spec has them. */
export function failedFirst(checks: readonly CheckFigures[]): CheckFigures[] {
    const rank = (check: CheckFigures): number => (check.failed ? 0 : check.passed ? 2 : 1);
    return checks.toSorted((a, b) => rank(a) - rank(b) || b.failed - a.failed);
}
