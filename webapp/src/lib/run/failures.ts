// What failed, in rows: of a whole run as its result or its stream has it, of a window as its intervals count it. Pure.
import type { ErrorSoFar, FailureSummary, SampledExchange } from "$lib/api/schema";
import { FAILURE_KINDS } from "$lib/verdict";

import type { Figures } from "./figures";

export interface Failure {
    key: string;
    outcome: string;
    /** Empty where only all endpoints together are known. */
    endpoint: string;
    message: string;
    count: number;
    /** Seconds since the start of the run; null where that is not known. */
    first: number | null;
    last: number | null;
    /** The number of a request that was kept whole. */
    sample: number | null;
    example: string;
}

const EXAMPLE_CHARACTERS = 120;

export function ofSummaries(failures: readonly FailureSummary[]): Failure[] {
    return failures.map((each) => ({
        key: `${each.outcome} ${each.endpoint} ${each.message}`,
        outcome: each.outcome,
        endpoint: each.endpoint,
        message: each.message,
        count: each.count,
        first: each.first_seconds,
        last: each.last_seconds,
        sample: each.sample,
        example: each.example,
    }));
}

export function ofStream(errors: readonly ErrorSoFar[]): Failure[] {
    return errors.map((each) => ({
        key: `${each.outcome} ${each.message}`,
        outcome: each.outcome,
        endpoint: "",
        message: each.message,
        count: each.count,
        first: null,
        last: each.last_seconds,
        sample: null,
        example: "",
    }));
}

interface Counted {
    name: string;
    figures: Pick<Figures, "completed" | "failed" | "outcomes">;
}

/**
 * The failures of a window, by kind and endpoint: counts are exact, as its intervals have them. Messages and examples
 * are those of the requests that were kept in it, or of the whole run where it knows a single one.
 */
export function failuresIn(
    rows: readonly Counted[],
    kept: readonly SampledExchange[],
    whole: readonly FailureSummary[],
): Failure[] {
    const found = rows.flatMap(({ name, figures }) =>
        FAILURE_KINDS.flatMap((outcome): Failure[] => {
            const count = figures.outcomes[outcome] ?? 0;
            if (!count) return [];
            const mine = (each: { outcome: string; endpoint: string }): boolean =>
                each.outcome === outcome && each.endpoint === name;
            const samples = kept.filter((each) => mine(each) && !each.warm_up);
            const known = whole.filter(mine).map((each) => each.message);
            const messages = samples.length || known.length > 1 ? samples.map((each) => each.message) : known;
            const [sample] = samples;
            return [
                {
                    key: `${outcome} ${name}`,
                    outcome,
                    endpoint: name,
                    message: [...new Set(messages)].filter(Boolean).join(" · "),
                    count,
                    first: null,
                    last: null,
                    sample: sample?.request_number ?? null,
                    example: (sample?.response_body ?? "").trim().replace(/\s+/g, " ").slice(0, EXAMPLE_CHARACTERS),
                },
            ];
        }),
    );
    return found.toSorted((a, b) => b.count - a.count);
}

export function totalOf(rows: readonly Counted[]): { completed: number; failed: number } {
    return {
        completed: rows.reduce((sum, each) => sum + each.figures.completed, 0),
        failed: rows.reduce((sum, each) => sum + each.figures.failed, 0),
    };
}
