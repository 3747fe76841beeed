// Where the bars of an iteration's requests stand on its time line.
import type { SampledIteration, SampledStep } from "$lib/api/schema";

/** One request on the time line of its iteration, in percent of the whole. */
export interface Bar {
    step: SampledStep;
    /** The think time before it. */
    think: { left: number; width: number };
    /** From when it was due to when it was sent: the load generator, or a user that was not free yet. */
    late: { left: number; width: number };
    /** From sending to the first byte; to the end without one. */
    wait: { left: number; width: number };
    /** From the first byte to the end. */
    read: { left: number; width: number };
    /** In ms since the start of the iteration. */
    startsAt: number;
}

export function barsOf(iteration: SampledIteration): Bar[] {
    const whole = Math.max(iteration.time_ms, ...iteration.steps.map((step) => endOf(step, iteration)), 1e-6);
    const span = (from: number, to: number): { left: number; width: number } => {
        const left = Math.min(Math.max(from / whole, 0), 1) * 100;
        return { left, width: Math.min(Math.max((to - from) / whole, 0) * 100, 100 - left) };
    };
    return iteration.steps.map((step) => {
        const due = dueAt(step, iteration);
        const end = due + step.response_ms;
        const sent = end - step.service_ms;
        const byte = typeof step.first_byte_ms === "number" ? Math.min(sent + step.first_byte_ms, end) : end;
        return {
            step,
            think: span(due - step.think_ms, due),
            late: span(due, sent),
            wait: span(sent, byte),
            read: span(byte, end),
            startsAt: due,
        };
    });
}

/** Think time after the last request, in ms. */
export function thinkAfter(iteration: SampledIteration): number {
    const last = iteration.steps.at(-1);
    const rest = last && !iteration.requests_left_out ? iteration.time_ms - endOf(last, iteration) : 0;
    // Less than a microsecond is what adding seconds and milliseconds leaves over.
    return rest > 0.001 ? rest : 0;
}

/** How long a request waited between being due and being sent, in ms. */
export function lateness(step: SampledStep): number {
    return Math.max(step.response_ms - step.service_ms, 0);
}

/** The name of a step within its scenario. */
export function stepName(iteration: SampledIteration, step: SampledStep): string {
    const prefix = `${iteration.scenario}/`;
    return step.endpoint.startsWith(prefix) ? step.endpoint.slice(prefix.length) : step.endpoint;
}

const dueAt = (step: SampledStep, iteration: SampledIteration): number =>
    (step.at_seconds - iteration.at_seconds) * 1000;
const endOf = (step: SampledStep, iteration: SampledIteration): number => dueAt(step, iteration) + step.response_ms;
