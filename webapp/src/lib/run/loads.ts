// The load of a run in a few words: of the whole spec, or of each scenario. Pure.
import { count, percent, rate, shown } from "$lib/format";
import { loadOf, modelOf } from "$lib/spec/load";
import { isObject } from "$lib/spec/paths";
import { scenariosOf } from "$lib/spec/scenarios";
import type { Load, Spec } from "$lib/spec/spec";

/** `40 /s`, `50 users`, `3 stages up to 200 /s`. */
export function loadInWords(load: Load): string {
    const isOpen = modelOf(load) === "open";
    const level = (value: number): string => {
        if (isOpen) return `${shown(rate(value))} /s`;
        return `${shown(count(value))} ${value === 1 ? "user" : "users"}`;
    };
    if (load.stages?.length) {
        const peak = Math.max(...load.stages.map((stage) => Number(stage.target) || 0));
        return `${load.stages.length} ${load.stages.length === 1 ? "stage" : "stages"} up to ${level(peak)}`;
    }
    return level(isOpen ? (load.rate ?? 0) : (load.users ?? 10));
}

/** The load of the whole spec: its scenarios by number, and their load unless each has its own. */
export function loadFacts(spec: Spec): string[] {
    const scenarios = scenariosOf(spec);
    const hasOwn = scenarios.some(([, scenario]) => isObject(scenario.load));
    return [
        ...(scenarios.length ? [`${scenarios.length} ${scenarios.length === 1 ? "scenario" : "scenarios"}`] : []),
        ...(hasOwn ? [] : [loadInWords(loadOf(spec))]),
    ];
}

/** The load of each scenario: its own, with its start, or its share of the one of the spec. */
export function loadsOfScenarios(spec: Spec): Map<string, string> {
    const scenarios = scenariosOf(spec);
    const weightOf = (scenario: Record<string, unknown>): number => Number(scenario.weight ?? 1);
    const weights = scenarios.reduce((sum, [, scenario]) => sum + weightOf(scenario), 0);
    return new Map(
        scenarios.map(([name, scenario]) => {
            if (!isObject(scenario.load)) {
                const whole = loadInWords(loadOf(spec));
                return [name, scenarios.length > 1 ? `${percent(weightOf(scenario) / weights)} of ${whole}` : whole];
            }
            const after = scenario.start_after;
            const start = typeof after === "string" ? `, after ${after}` : "";
            return [name, loadInWords(scenario.load) + start];
        }),
    );
}
