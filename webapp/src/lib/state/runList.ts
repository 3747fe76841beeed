// Filters a list of runs, and updates it with a change of one of them. Pure.
import type { RunSummaryView, TestHistory } from "$lib/api/schema";
import { percent } from "$lib/format";
import { OUTCOMES } from "$lib/verdict";

import { instantOf, momentOf } from "./when";

export const RECENT = 20;

export interface Filter {
    text: string;
    status: string;
    tag: string;
    name: string;
    /** One of the spans. */
    when: string;
    /** Days or times, as the address has them; only what can be read. */
    since: string;
    until: string;
}

export const NO_FILTER: Filter = { text: "", status: "", tag: "", name: "", when: "", since: "", until: "" };

/** What can be chosen, each with what it asks of the API. */
export const STATUSES: Record<
    string,
    { label: string; query: { outcome?: string; measurement?: string; status?: string }; linked?: boolean }
> = {
    ...Object.fromEntries(
        Object.entries(OUTCOMES).map(([outcome, { word }]) => [outcome, { label: word, query: { outcome } }]),
    ),
    suspect: { label: "Measurement suspect", query: { measurement: "suspect" } },
    // Where the storage page leads to: no choice of the list itself, as it says nothing about the result.
    completed: { label: "Completed", query: { status: "completed" }, linked: true },
};

/** What addresses of earlier versions say. */
const EARLIER: Record<string, string> = { pending: "queued", broken: "error" };

const statusOf = (parameters: URLSearchParams): string => {
    const written = parameters.get("status") ?? "";
    return EARLIER[written] ?? written;
};

export const SPANS: Record<string, { label: string; days: number }> = {
    "1d": { label: "Last 24 h", days: 1 },
    "7d": { label: "Last 7 days", days: 7 },
    "30d": { label: "Last 30 days", days: 30 },
};

export function filterOf(parameters: URLSearchParams): Filter {
    const read = (name: string): string => parameters.get(name) ?? "";
    const date = (name: string): string => (momentOf(read(name), true) ? read(name) : "");
    const [since, until] = [date("since"), date("until")];
    return {
        text: read("text"),
        status: STATUSES[statusOf(parameters)] ? statusOf(parameters) : "",
        tag: read("tag"),
        name: read("name"),
        when: SPANS[read("when")] && !since && !until ? read("when") : "",
        since,
        until,
    };
}

/** Filters of an address that cannot apply, by name: the runs are shown without them, and the page says so. */
export function problemsOf(parameters: URLSearchParams, utc: boolean): Partial<Record<keyof Filter, string>> {
    const found: Partial<Record<keyof Filter, string>> = {};
    const read = (name: string): string => parameters.get(name) ?? "";
    const [since, until] = [momentOf(read("since"), utc), momentOf(read("until"), utc)];
    const example = "ignored; write 2026-11-23 or 2026-11-23T14:30";
    if (read("status") && !STATUSES[statusOf(parameters)])
        found.status = `“${read("status")}” is not a status; known are ${Object.keys(STATUSES).join(", ")}`;
    if (read("when") && !SPANS[read("when")])
        found.when = `“${read("when")}” is not a time range; known are ${Object.keys(SPANS).join(", ")}`;
    else if (read("when") && (since || until)) found.when = `the dates apply, not “${SPANS[read("when")]?.label}” too`;
    if (read("since") && !since) found.since = `“${read("since")}” is not a date: ${example}`;
    if (read("until") && !until) found.until = `“${read("until")}” is not a date: ${example}`;
    if (since && until && instantOf(since, utc) >= instantOf(until, utc, true))
        found.until = "the end is before the start, so no run matches";
    return found;
}

export function queryOf(filter: Filter, now: Date, utc: boolean): Record<string, string | boolean | undefined> {
    const span = SPANS[filter.when];
    const [since, until] = [momentOf(filter.since, utc), momentOf(filter.until, utc)];
    const from = span ? new Date(now.getTime() - span.days * 86_400_000) : since && instantOf(since, utc);
    return {
        ...STATUSES[filter.status]?.query,
        text: filter.text || undefined,
        tag: filter.tag || undefined,
        name: filter.name || undefined,
        since: from?.toISOString(),
        until: until ? instantOf(until, utc, true).toISOString() : undefined,
    };
}

/** The filter in words. */
export function filterWords(filter: Filter): string {
    const words = (name: string, value: string): string => {
        if (name === "status") return STATUSES[value]?.label ?? value;
        if (name === "when") return SPANS[value]?.label ?? value;
        if (name === "since" || name === "until") return `${name} ${value.replace("T", " ")}`;
        return `“${value}”`;
    };
    return Object.entries(filter)
        .filter(([, value]) => value)
        .map(([name, value]) => words(name, value))
        .join(" + ");
}

/** Runs are shown by test unless the filter concerns the runs themselves. */
export function isByTest(filter: Filter): boolean {
    return !Object.entries(filter).some(([name, value]) => name !== "text" && value);
}

export function matches(run: RunSummaryView, filter: Filter, now: Date, utc: boolean): boolean {
    const query = queryOf(filter, now, utc);
    const created = Date.parse(run.created_at);
    const text = filter.text.toLowerCase();
    return (
        (!text || `${run.name} ${run.url}`.toLowerCase().includes(text)) &&
        (!filter.tag || run.tags.includes(filter.tag)) &&
        (!filter.name || run.name === filter.name) &&
        (query.outcome === undefined || run.outcome === query.outcome) &&
        (query.measurement === undefined || run.measurement === query.measurement) &&
        (query.status === undefined || run.status === query.status) &&
        (typeof query.since !== "string" || created >= Date.parse(query.since)) &&
        (typeof query.until !== "string" || created < Date.parse(query.until))
    );
}

/** The list with what is now known of a run: null where it is not in it. */
export function replaced(runs: RunSummaryView[], run: RunSummaryView): RunSummaryView[] | null {
    const index = runs.findIndex((each) => each.id === run.id);
    return index < 0 ? null : runs.with(index, run);
}

/** The tests with a run that is new or has changed; `isNew` says that it was created after the list was read. */
export function withRun(tests: TestHistory[], run: RunSummaryView, isNew: boolean): TestHistory[] {
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
