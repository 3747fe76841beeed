// What setup and teardown of a run did, as the terminal's report says it. Pure.
import type { HookFigures, RunResult } from "$lib/api/schema";
import { count, duration, shown } from "$lib/format";

export interface Hook {
    name: "Setup" | "Teardown";
    status: HookFigures["status"];
    /** `at setup/log in: 503 · 1 step in 500 ms`. */
    words: string;
    hint: string;
}

/** Those that the spec has, in the order in which they ran. */
export function hooksOf(result: RunResult | null): Hook[] {
    const both = [
        ["Setup", result?.setup],
        ["Teardown", result?.teardown],
    ] as const;
    return both.flatMap(([name, figures]) => (figures ? [hookOf(name, figures)] : []));
}

function hookOf(name: Hook["name"], figures: HookFigures): Hook {
    const steps = `${shown(count(figures.steps))} ${figures.steps === 1 ? "step" : "steps"}`;
    const place = figures.failed_step ? `at ${figures.failed_step}` : "";
    const why = [place, figures.message].filter(Boolean).join(": ");
    const words = [why, `${steps} in ${duration(figures.seconds)}`].filter(Boolean).join(" · ");
    return { name, status: figures.status, words, hint: figures.hint ?? "" };
}
