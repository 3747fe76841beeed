// What the page of the storage says, from what the API answers. Pure.
import type { RetentionView, StorageOverview } from "$lib/api/schema";
import { rate, size } from "$lib/format";

const WORDS: Record<string, { word: string; query: string }> = {
    completed: { word: "Completed", query: "completed" },
    running: { word: "Running", query: "running" },
    pending: { word: "Queued", query: "queued" },
    cancelled: { word: "Cancelled", query: "cancelled" },
    failed: { word: "Error", query: "error" },
};

export function statusWords(
    runs: Record<string, number | undefined>,
): { status: string; word: string; query: string; runs: number }[] {
    return Object.entries(WORDS).map(([status, words]) => ({ status, ...words, runs: runs[status] ?? 0 }));
}

export function largest(values: readonly number[], least = 1): number {
    return Math.max(least, ...values);
}

/** How much comes on a day: runs of the days that were counted, and what runs take on the average. Null without any. */
export function perDay(view: StorageOverview, total: number): { runs: string; bytes: string } | null {
    const first = view.days.findIndex((day) => day.runs > 0);
    if (first < 0 || total === 0) return null;
    const days = view.days.slice(first);
    const runs = days.reduce((sum, day) => sum + day.runs, 0) / days.length;
    return { runs: rate(Number(runs.toPrecision(3))), bytes: size((runs * view.status.size_bytes) / total) };
}

export function kept(
    retention: RetentionView,
    words: (seconds: number) => string,
): { name: string; value: string; variable: string }[] {
    const span = (seconds: number | null): string =>
        seconds === null ? "forever" : seconds >= 172_800 ? `${Math.round(seconds / 86_400)} days` : words(seconds);
    return [
        { name: "Runs", value: span(retention.runs_seconds), variable: "ATM_RETENTION_RUNS" },
        {
            name: "Max runs",
            value: retention.runs_at_most === null ? "no limit" : `${retention.runs_at_most} runs`,
            variable: "ATM_RETENTION_COUNT",
        },
        { name: "Per-second data", value: span(retention.intervals_seconds), variable: "ATM_RETENTION_SECONDS" },
        { name: "Samples", value: span(retention.samples_seconds), variable: "ATM_RETENTION_SAMPLES" },
        { name: "Schedule history", value: span(retention.firings_seconds), variable: "ATM_RETENTION_FIRINGS" },
    ];
}
