// The list of the first page: tests, or the runs that a filter matches, read page by page and kept up to date by the stream.
import { api, ApiProblem } from "$lib/api/client";
import type { ListChange, RunSummaryView, TestHistory } from "$lib/api/schema";

import { type Filter, isByTest, matches, NO_FILTER, queryOf, replaced, withRun, without } from "./runList";

const TESTS_PER_PAGE = 50;
const RUNS_PER_PAGE = 100;

/** What the server listed for one filter; of `tests` and `runs` the one that `byTest` says is filled. */
export interface Listed {
    readonly filter: Filter;
    readonly byTest: boolean;
    readonly tests: TestHistory[];
    readonly runs: RunSummaryView[];
    /** Of all pages; null where the server did not count. */
    readonly total: number | null;
    /** Where the next page of runs begins. */
    readonly next: string | null;
}

const nothing = (filter: Filter): Listed => ({
    filter,
    byTest: isByTest(filter),
    tests: [],
    runs: [],
    total: null,
    next: null,
});

export const hasMore = ({ byTest, tests, total, next }: Listed): boolean =>
    byTest ? tests.length < (total ?? 0) : next !== null;

export class RunListing {
    /** The last answer, and what has changed since; null before the first one. */
    listed = $state.raw<Listed | null>(null);
    /** Why the last question has no answer. */
    problem = $state.raw<ApiProblem | null>(null);
    isReading = $state(false);
    /** New runs that match and are not in the list yet, because its reader has scrolled down. */
    waiting = $state.raw<RunSummaryView[]>([]);

    readonly #utc: () => boolean;
    #wanted = NO_FILTER;
    /** The number of pages that the user has requested. */
    #pages = 1;
    /** The newest run that the list knows: what was created later is new. */
    #newest = "";
    /** What is read now: the next question ends it, and its answer counts no more. */
    #reading = new AbortController();
    /** What the stream said since then. */
    #changes: { change: ListChange; later: boolean }[] = [];

    constructor(utc: () => boolean) {
        this.#utc = utc;
    }

    /** Lists what matches, from the first page on. */
    async open(filter: Filter): Promise<void> {
        this.#wanted = filter;
        this.#pages = 1;
        await this.reload();
    }

    /** Reads all pages again that are shown. */
    async reload(): Promise<void> {
        await this.#read(nothing(this.#wanted), this.#pages);
    }

    /** Shows one page more. */
    async more(): Promise<void> {
        if (!this.listed || !hasMore(this.listed)) return;
        this.#pages += 1;
        // A read in progress is of the pages before, so it begins again and includes this one.
        if (this.isReading) await this.reload();
        else await this.#read(this.listed, 1);
        if (this.problem) this.#pages -= 1;
    }

    close(): void {
        this.#reading.abort();
    }

    /** Takes what the stream says of one run; with `later`, a new one waits until the reader shows it. */
    take(change: ListChange, later: boolean): void {
        if (this.isReading) this.#changes.push({ change, later });
        this.#apply(change, later);
    }

    #apply(change: ListChange, later: boolean): void {
        if (!this.listed) return;
        if (change.kind === "deleted") return this.remove([change.id]);
        const run = change.run;
        if (!run) return;
        const isNew = run.created_at > this.#newest;
        if (isNew && later && this.#matches(run))
            this.waiting = [run, ...this.waiting.filter((each) => each.id !== run.id)];
        else this.#put(run, isNew);
    }

    showWaiting(): void {
        for (const run of this.waiting.toReversed()) this.#put(run, true);
        this.waiting = [];
    }

    remove(ids: readonly string[]): void {
        if (!this.listed) return;
        const { tests, runs, total } = this.listed;
        const left = {
            tests: ids.reduce((list, id) => without(list, id), tests),
            runs: runs.filter((run) => !ids.includes(run.id)),
        };
        const gone = tests.length - left.tests.length + (runs.length - left.runs.length);
        this.listed = { ...this.listed, ...left, total: total === null ? null : total - gone };
        this.waiting = this.waiting.filter((run) => !ids.includes(run.id));
    }

    #matches(run: RunSummaryView): boolean {
        return this.listed !== null && matches(run, this.listed.filter, new Date(), this.#utc());
    }

    #put(run: RunSummaryView, isNew: boolean): void {
        if (!this.listed) return;
        const fits = this.#matches(run);
        if (isNew && fits) this.#newest = run.created_at;
        const { byTest, total } = this.listed;
        const grown = (by: number): number | null => (total === null ? null : total + by);
        if (byTest) {
            const tests = withRun(this.listed.tests, run, isNew && fits);
            this.listed = { ...this.listed, tests, total: grown(tests.length - this.listed.tests.length) };
            return;
        }
        const known = replaced(this.listed.runs, run);
        if (known) {
            const runs = fits ? known : known.filter((each) => each.id !== run.id);
            this.listed = { ...this.listed, runs, total: grown(runs.length - known.length) };
        } else if (isNew && fits) this.listed = { ...this.listed, runs: [run, ...this.listed.runs], total: grown(1) };
    }

    /** Reads the next pages after those of `from`. */
    async #read(from: Listed, pages: number): Promise<void> {
        this.#reading.abort();
        const reading = (this.#reading = new AbortController());
        this.isReading = true;
        this.#changes = [];
        try {
            let listed = from;
            for (let page = 0; page < pages && (page === 0 || hasMore(listed)); page += 1)
                listed = await this.#withNextPage(listed, reading.signal);
            if (reading.signal.aborted) return;
            this.#show(listed);
        } catch (error) {
            if (reading.signal.aborted) return;
            if (!(error instanceof ApiProblem)) throw error;
            // What is listed answers an older question, unless this one was the same.
            if (this.listed?.filter !== from.filter) this.listed = null;
            this.problem = error;
        } finally {
            if (reading === this.#reading) this.isReading = false;
        }
    }

    #show(listed: Listed): void {
        this.listed = listed;
        this.problem = null;
        this.waiting = [];
        this.#newest = (listed.byTest ? listed.tests[0]?.recent[0] : listed.runs[0])?.created_at ?? "";
        // The server may have read the list before these changes.
        for (const { change, later } of this.#changes.splice(0)) this.#apply(change, later);
    }

    async #withNextPage(listed: Listed, signal: AbortSignal): Promise<Listed> {
        const { filter, tests, runs } = listed;
        if (listed.byTest) {
            const query = { limit: TESTS_PER_PAGE, offset: tests.length, text: filter.text || undefined };
            const answer = await api.history(query, signal);
            const known = new Set(tests.map((test) => test.name));
            const added = answer.tests.filter((test) => !known.has(test.name));
            return { ...listed, tests: [...tests, ...added], total: answer.total };
        }
        const query = { ...queryOf(filter, new Date(), this.#utc()), limit: RUNS_PER_PAGE };
        const answer = await api.runs({ ...query, cursor: listed.next ?? undefined }, signal);
        const known = new Set(runs.map((run) => run.id));
        const added = answer.runs.filter((run) => !known.has(run.id));
        return { ...listed, runs: [...runs, ...added], total: answer.total ?? listed.total, next: answer.next };
    }
}
