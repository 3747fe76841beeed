// What a list of runs becomes when something is told about one of them. Pure.
import type { RunSummaryView, TestHistory } from "$lib/api/schema";
import { percent } from "$lib/format";

export const RECENT = 20;

export interface Filter {
    text: string;
    status: string;
    tag: string;
    name: string;
    when: string;
}

export const NO_FILTER: Filter = { text: "", status: "", tag: "", name: "", when: "" };

/** What can be chosen, each with what it asks of the API. */
export const STATUSES: Record<string, { label: string; query: { status?: string; passed?: boolean } }> = {
    passed: { label: "Passed", query: { passed: true } },
    failed: { label: "Failed", query: { passed: false } },
    running: { label: "Running", query: { status: "running" } },
    pending: { label: "Waiting", query: { status: "pending" } },
    cancelled: { label: "Cancelled", query: { status: "cancelled" } },
    broken: { label: "Broke off", query: { status: "failed" } },
};

export const SPANS: Record<string, { label: string; days: number }> = {
    "1d": { label: "Last 24 h", days: 1 },
    "7d": { label: "Last 7 days", days: 7 },
    "30d": { label: "Last 30 days", days: 30 },
};

export function filterOf(parameters: URLSearchParams): Filter {
    const read = (name: string): string => parameters.get(name) ?? "";
    return {
        text: read("text"),
        status: STATUSES[read("status")] ? read("status") : "",
        tag: read("tag"),
        name: read("name"),
        when: SPANS[read("when")] ? read("when") : "",
    };
}

export function queryOf(filter: Filter, now: Date): Record<string, string | boolean | undefined> {
    const span = SPANS[filter.when];
    return {
        ...STATUSES[filter.status]?.query,
        text: filter.text || undefined,
        tag: filter.tag || undefined,
        name: filter.name || undefined,
        since: span ? new Date(now.getTime() - span.days * 86_400_000).toISOString() : undefined,
    };
}

/** Runs are shown by test unless something is asked of the runs themselves. */
export function isByTest(filter: Filter): boolean {
    return !filter.status && !filter.tag && !filter.name && !filter.when;
}

export function matches(run: RunSummaryView, filter: Filter, now: Date): boolean {
    const query = queryOf(filter, now);
    const text = filter.text.toLowerCase();
    return (
        (!text || `${run.name} ${run.url}`.toLowerCase().includes(text)) &&
        (!filter.tag || run.tags.includes(filter.tag)) &&
        (!filter.name || run.name === filter.name) &&
        (query.status === undefined || run.status === query.status) &&
        (query.passed === undefined || run.passed === query.passed) &&
        (typeof query.since !== "string" || run.created_at >= query.since)
    );
}

/** The list with what is now known of a run: null where it is not in it. */
export function replaced(runs: RunSummaryView[], run: RunSummaryView): RunSummaryView[] | null {
    const index = runs.findIndex((each) => each.id === run.id);
    return index < 0 ? null : runs.with(index, run);
}

/** The tests with a run that is new or has changed; `isNew` says that it was created after the list was read. */
export function told(tests: TestHistory[], run: RunSummaryView, isNew: boolean): TestHistory[] {
    const index = tests.findIndex((test) => test.name === run.name);
    const test = tests[index];
    if (!test) return isNew ? [{ name: run.name, runs: 1, recent: [run] }, ...tests] : tests;
    const known = replaced(test.recent, run);
    if (known) return tests.with(index, { ...test, recent: known });
    if (!isNew) return tests;
    const grown = { ...test, runs: test.runs + 1, recent: [run, ...test.recent].slice(0, RECENT) };
    return [grown, ...tests.toSpliced(index, 1)];
}

export function without(tests: TestHistory[], id: string): TestHistory[] {
    return tests
        .map((test) =>
            test.recent.some((run) => run.id === id)
                ? { ...test, runs: test.runs - 1, recent: test.recent.filter((run) => run.id !== id) }
                : test,
        )
        .filter((test) => test.runs > 0);
}

/** A change as a share, in whole percent: `+12 %`, `−3 %`, and `±0 %` where it would be less than half of one. */
export function changeWords(change: number): string {
    return `${Math.abs(change) < 0.005 ? "±" : change > 0 ? "+" : "−"}${percent(Math.abs(change))}`;
}

/** The change of p95 against the last run before that came to figures, as a share; null where there is none. */
export function changeOfP95(runs: RunSummaryView[]): number | null {
    const figures = runs.filter((run) => run.status === "completed" && typeof run.latency_p95_ms === "number");
    const [last, before] = figures;
    if (!last || !before || last.id !== runs[0]?.id) return null;
    const [a, b] = [before.latency_p95_ms as number, last.latency_p95_ms as number];
    return a > 0 ? (b - a) / a : null;
}
