// A run as its page knows it: what is stored, what comes live, and the window and endpoint that everything follows.
import { address, api, ApiProblem } from "$lib/api/client";
import type {
    CheckFigures,
    DataFigures,
    ExceptionFigures,
    OwnFigures,
    OwnPointView,
    DistributionView,
    FinishedEvent,
    IntervalEvent,
    IntervalsView,
    ProgressEvent,
    RunResult,
    RunView,
    StartedEvent,
    WindowView,
} from "$lib/api/schema";
import { openStream } from "$lib/api/stream";
import { clock } from "$lib/format";
import { connection } from "$lib/state/connection.svelte";
import {
    drawable,
    merged,
    type Stretch,
    stretches,
    stretchesOfEach,
    stretchOfEvent,
    type TimeKind,
} from "$lib/state/seconds";

import { type Figures, type Percentiles, ofEvent, ofMetrics, ofPoint } from "./figures";
import { pointsOfEvent } from "./ownMetrics";
import { rowResolution } from "./resolution";
import type { Scenario } from "./scenarios";
import { endedRows, liveRows, type WorkerRow } from "./workers";

/** At most this many single seconds are drawn; a longer run is read again in stretches that the server merges. */
const MOST_SECONDS = 1200;
/** During a run, what the server has to merge is read again after this many seconds. */
const LIVE_EVERY = 4;
const FINAL = new Set(["completed", "cancelled", "failed"]);

export interface Window {
    start: number;
    end: number;
}

export interface EndpointRow {
    name: string;
    index: number;
    figures: Figures;
    /** The window (or the whole run), stretch by stretch. */
    known: Stretch[];
}

export class RunModel {
    readonly id: string;
    run = $state.raw<RunView | null>(null);
    result = $state.raw<RunResult | null>(null);
    problem = $state.raw<ApiProblem | null>(null);
    /** Its seconds were read, if it has any. */
    loaded = $state(false);

    /** All endpoints together, or the chosen one, over the whole run. */
    seconds = $state.raw<Stretch[]>([]);
    /** The same as charts and tables show them. */
    readonly drawn = $derived.by(() => {
        const known = drawable(this.seconds);
        // Arrivals of scenarios are iterations, and the charts are of requests.
        return this.scenarios.length ? known.map((each) => ({ ...each, offered: null })) : known;
    });
    resolution = $state(1);
    endpoints = $state.raw<string[]>([]);
    rows = $state.raw<EndpointRow[]>([]);
    /** Seconds per stretch of the rows: fewer and longer ones, as there are many endpoints. */
    rowsResolution = $state(1);
    /** Figures of the window (or of the whole run) from merged histograms. */
    windowed = $state.raw<Figures | null>(null);
    distribution = $state.raw<DistributionView | null>(null);
    /** The window (or the whole run) as the server merged it. */
    #merged = $state.raw<WindowView | null>(null);
    /** Of the window, of the whole run or of what has run so far; empty for a spec without scenarios. */
    readonly scenarios = $derived.by((): readonly Scenario[] => {
        const merged = this.#merged?.scenarios ?? [];
        if (this.window) return merged;
        return (this.isFinal ? this.result?.scenarios : this.last?.so_far.scenarios) ?? merged;
    });
    readonly checks = $derived.by((): readonly CheckFigures[] => {
        const merged = this.#merged?.checks ?? [];
        if (this.window) return merged;
        return (this.isFinal ? this.result?.checks : this.last?.so_far.checks) ?? merged;
    });
    /** The metrics that the test declares. */
    readonly ownMetrics = $derived.by((): readonly OwnFigures[] => {
        const merged = this.#merged?.own_metrics ?? [];
        if (this.window) return merged;
        return (this.isFinal ? this.result?.own_metrics : this.last?.so_far.own_metrics) ?? merged;
    });
    /** Their values over the whole run, stretch by stretch. */
    ownPoints = $state.raw<readonly OwnPointView[]>([]);
    /** Rows of test data that the whole run, or what has run so far, has used. */
    readonly sources = $derived.by((): readonly DataFigures[] => {
        return (this.isFinal ? this.result?.data : this.last?.so_far.data) ?? [];
    });

    /** Exceptions of scenarios in code, in the whole run or so far. */
    readonly exceptions = $derived.by((): readonly ExceptionFigures[] => {
        return (this.isFinal ? this.result?.exceptions : this.last?.so_far.exceptions) ?? [];
    });

    /** The workers in the last second, or over the whole run; empty for a run in one process. */
    readonly workers = $derived.by((): readonly WorkerRow[] => {
        if (this.isFinal) return this.result?.fleet ? endedRows(this.result.fleet) : [];
        return liveRows(this.last?.workers ?? []);
    });

    started = $state.raw<StartedEvent | null>(null);
    last = $state.raw<IntervalEvent | null>(null);
    progress = $state.raw<ProgressEvent | null>(null);
    /** Grows with each stored sample: the views of samples read them again. */
    samplesKept = $state(0);
    /** Sampled iterations, and the end of the run, which adds the slowest ones. */
    iterationsKept = $state(0);

    window = $state.raw<Window | null>(null);
    endpoint = $state<string | null>(null);
    kind = $state<TimeKind>("response");

    readonly isFinal = $derived(this.run !== null && FINAL.has(this.run.status));
    readonly isLive = $derived(this.run !== null && !this.isFinal);
    readonly figures = $derived.by((): Figures | null => {
        if (this.window || this.endpoint) return this.windowed;
        if (this.isFinal && this.run?.metrics) return ofMetrics(this.run.metrics);
        if (this.isLive && this.last) {
            const fresh = ofEvent(this.last);
            const all = this.windowed;
            if (!all) return fresh;
            const times = { ...all.times, response: fresher(all.times.response, fresh.times.response) };
            const { counted, statuses, outcomes, received, sent } = all;
            return { ...fresh, times, counted, statuses, outcomes, received, sent };
        }
        return this.windowed;
    });
    readonly end = $derived.by(() => {
        const last = this.seconds.at(-1);
        return last ? last.start + Math.max(last.seconds, last.start === 0 ? 1 : 0) : 0;
    });

    #close: (() => void) | null = null;
    #seen = 0;
    #sinceMerged = 0;
    #leaving = new AbortController();
    #asking = 0;

    constructor(id: string) {
        this.id = id;
    }

    /** Reads everything, and watches the run until it ends. Gives back what leaves it. */
    open(): () => void {
        void this.#begin();
        return () => {
            this.#leaving.abort();
            this.#stopWatching();
        };
    }

    async #begin(): Promise<void> {
        try {
            this.run = await api.run(this.id);
            if (this.isFinal) await this.#readResult();
            await this.reread();
            if (this.isLive) this.#watch();
        } catch (error) {
            this.#fail(error);
        }
    }

    #fail(error: unknown): void {
        if (this.#leaving.signal.aborted) return;
        if (!(error instanceof ApiProblem)) throw error;
        this.problem = error;
    }

    async #readResult(): Promise<void> {
        // It ended before anything was measured: the run itself says why.
        if (this.run?.metrics === null) return;
        try {
            this.result = await api.result(this.id);
        } catch (error) {
            if (!(error instanceof ApiProblem && error.status === 409)) throw error;
        }
    }

    /** Reads seconds, figures and distribution for the window and endpoint as they are chosen now. */
    async reread(): Promise<void> {
        const request = ++this.#asking;
        const { signal } = this.#leaving;
        const of = this.endpoint === null ? "*" : this.endpoint;
        const span = this.window ? { start: this.window.start, end: this.window.end } : {};
        try {
            const [all, distribution] = await Promise.all([
                api.intervals(this.id, { endpoint: [of] }, signal),
                api.distribution(this.id, { ...span, endpoint: this.endpoint ?? undefined }, signal),
            ]);
            const names = ["*", ...all.endpoints];
            const length = (span.end ?? lastSecond(all)) - (span.start ?? 0);
            const resolution = rowResolution(length, names.length);
            const each = await api.intervals(this.id, { ...span, resolution, merge: true, endpoint: names }, signal);
            if (request !== this.#asking) return;
            this.endpoints = all.endpoints;
            this.resolution = Math.max(all.resolution, 1);
            this.seconds = stretches(all, this.endpoint);
            this.ownPoints = all.own_metrics ?? [];
            this.#seen = Math.max(this.#seen, all.last_event);
            this.#takeWindow(each);
            this.distribution = distribution.samples ? distribution : null;
            this.problem = null;
            this.loaded = true;
        } catch (error) {
            this.#fail(error);
        }
    }

    #takeWindow(answer: IntervalsView): void {
        this.#merged = answer.window;
        const measured = answer.generator.filter((each) => each.phase !== "warm_up" && each.phase !== "drain");
        const seconds = measured.reduce((sum, each) => sum + each.duration_seconds, 0);
        const merged = (answer.window?.endpoints ?? []).filter((point) => !point.warm_up);
        const chosen = merged.find((point) => point.endpoint === this.endpoint);
        this.windowed = chosen ? ofPoint(chosen, seconds) : null;
        const whole = !this.window && this.isFinal ? this.run?.endpoint_metrics : null;
        const known = stretchesOfEach(answer);
        this.rows = answer.endpoints.flatMap((name, index) => {
            const point = merged.find((each) => each.endpoint === name);
            const metrics = whole?.find((each) => each.name === name);
            const figures = metrics ? ofMetrics(metrics) : point ? ofPoint(point, seconds) : null;
            // What requests of code beyond the limit of names are counted under.
            if (name.endsWith("/(other)") && !point?.started && !metrics) return [];
            return figures ? [{ name, index, figures, known: drawable(known.get(name) ?? []) }] : [];
        });
        this.rowsResolution = Math.max(answer.resolution, 1);
    }

    #watch(): void {
        this.#close = openStream({
            url: () => address(`/runs/${encodeURIComponent(this.id)}/events`, { after: this.#seen }),
            events: ["started", "interval", "sample", "iteration", "progress", "finished"],
            onEvent: (name, data, id) => {
                if (id) this.#seen = Number(id);
                this.#take(name, data);
            },
            onState: (state) => {
                connection.set("run", state);
                connection.since = state === "lost" && this.seconds.length ? clock(this.end) : "";
            },
        });
    }

    #stopWatching(): void {
        this.#close?.();
        this.#close = null;
        connection.forget("run");
    }

    #take(name: string, data: string): void {
        switch (name) {
            case "started":
                this.started = JSON.parse(data) as StartedEvent;
                if (this.run)
                    this.run = {
                        ...this.run,
                        status: "running",
                        started_at: this.started.at,
                        engine: this.started.engine,
                    };
                this.endpoints = this.started.endpoints;
                break;
            case "interval":
                this.#takeInterval(JSON.parse(data) as IntervalEvent);
                break;
            case "sample":
                this.samplesKept += 1;
                break;
            case "iteration":
                this.iterationsKept += 1;
                break;
            case "progress":
                this.progress = JSON.parse(data) as ProgressEvent;
                if (this.run && this.run.status !== this.progress.status && !FINAL.has(this.progress.status)) {
                    this.run = { ...this.run, status: this.progress.status };
                }
                break;
            case "finished":
                void this.#finish(JSON.parse(data) as FinishedEvent);
                break;
        }
    }

    #takeInterval(event: IntervalEvent): void {
        this.last = event;
        if (event.so_far.endpoints.length > this.endpoints.length)
            this.endpoints = event.so_far.endpoints.map((each) => each.name);
        const drawsItself = this.endpoint === null && this.kind === "response" && this.resolution === 1;
        if (drawsItself && event.second < MOST_SECONDS) this.seconds = merged(this.seconds, [stretchOfEvent(event)]);
        if (drawsItself && event.own_metrics?.length)
            this.ownPoints = [
                ...this.ownPoints.filter((point) => point.start !== event.second),
                ...pointsOfEvent(event),
            ];
        this.#sinceMerged += 1;
        const wait = drawsItself ? LIVE_EVERY : Math.max(2, Math.min(this.resolution, 10));
        if (this.#sinceMerged < wait || document.hidden) return;
        this.#sinceMerged = 0;
        void this.reread();
    }

    async #finish(event: FinishedEvent): Promise<void> {
        this.#stopWatching();
        if (this.run)
            this.run = {
                ...this.run,
                status: event.status,
                passed: event.passed,
                outcome: event.outcome,
                measurement: event.measurement,
            };
        try {
            this.run = await api.run(this.id);
            await this.#readResult();
            await this.reread();
            this.samplesKept += 1;
            this.iterationsKept += 1;
        } catch (error) {
            this.#fail(error);
        }
    }

    /** Seconds that were planned in all, warm-up included; null where the number of requests decides. */
    readonly planned = $derived.by((): number | null => {
        const started = this.started;
        if (started) return started.planned_seconds === null ? null : started.planned_seconds + started.warm_up_seconds;
        // What is planned is known when the load begins.
        return null;
    });

    /** How much of a running run is done, 0..1; null where that is not known. */
    readonly done = $derived.by((): number | null => {
        if (!this.isLive || !this.last) return this.isLive ? 0 : null;
        if (this.planned) return Math.min(1, (this.last.second + 1) / this.planned);
        const wanted = this.started?.planned_requests ?? this.run?.total_requests;
        return wanted ? Math.min(1, this.last.so_far.completed / wanted) : null;
    });

    annotate = async (body: { tags?: string[]; notes?: string }): Promise<void> => {
        this.run = await api.annotate(this.id, body);
    };
}

function lastSecond(answer: IntervalsView): number {
    const last = answer.generator.at(-1);
    return last ? last.start + Math.max(last.duration_seconds, 1) : 0;
}

/** The fresh percentiles over those that the server merged some seconds ago. */
function fresher(old: Percentiles | undefined, fresh: Percentiles | undefined): Percentiles | undefined {
    if (!old || !fresh) return fresh ?? old;
    return { ...fresh, p999: fresh.p999 ?? old.p999, mean: fresh.mean ?? old.mean };
}
