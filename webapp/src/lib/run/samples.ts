// Identities of recorded samples.
import type { SampledExchange } from "$lib/api/schema";

/** Above every request number, and still exact as a number together with one. */
const NEXT = 2 ** 40;

/**
 * A number for each sample that no other sample has: its request number where that is unique. In a run of scenarios, the
 * requests of one iteration have the same number: a failed one keeps it, since failures refer to it, and the others get
 * numbers beyond all request numbers.
 */
export function sampleIds(samples: readonly SampledExchange[]): Map<SampledExchange, number> {
    const ids = new Map<SampledExchange, number>();
    const seen = new Map<number, number>();
    const failedFirst = samples.toSorted((a, b) => Number(a.outcome === "ok") - Number(b.outcome === "ok"));
    for (const sample of failedFirst) {
        const earlier = seen.get(sample.request_number) ?? 0;
        seen.set(sample.request_number, earlier + 1);
        ids.set(sample, sample.request_number + earlier * NEXT);
    }
    return ids;
}
