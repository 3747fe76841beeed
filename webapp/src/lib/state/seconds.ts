// From what the API answers to what charts draw: one record for each stretch of a run. Pure.
import type { GeneratorView, IntervalEvent, IntervalsView, PointView, Spread } from "$lib/api/schema";
import { numeric } from "$lib/format";

export type TimeKind = "response" | "service" | "first_byte";

export interface Times {
    p50: number | null;
    p95: number | null;
    p99: number | null;
    max: number | null;
}

export interface Stretch {
    /** Seconds since the start of the run. */
    start: number;
    /** How long it is; figures below are per second. */
    seconds: number;
    warmUp: boolean;
    offered: number | null;
    started: number;
    completed: number;
    failed: number;
    missed: number;
    outcomes: Record<string, number>;
    response: Times;
    service: Times | null;
    first_byte: Times | null;
    lag: number | null;
    cpu: number | null;
    inFlight: number | null;
}

export function timesOf(spread: Spread): Times {
    return {
        p50: numeric(spread.p50_ms),
        p95: numeric(spread.p95_ms),
        p99: numeric(spread.p99_ms),
        max: numeric(spread.max_ms),
    };
}

/** The stretches of one endpoint (null: of all together). */
export function stretches(answer: IntervalsView, endpoint: string | null = null): Stretch[] {
    const points = new Map<number, PointView[]>();
    for (const point of answer.points) {
        if (point.endpoint === endpoint) points.set(point.start, [...(points.get(point.start) ?? []), point]);
    }
    return answer.generator.map((generator) =>
        stretch(generator, points.get(generator.start) ?? [], endpoint === null),
    );
}

/** The stretches of each endpoint, by its name: all of the same moments. */
export function stretchesOfEach(answer: IntervalsView): Map<string, Stretch[]> {
    const points = new Map<string, PointView[]>();
    for (const point of answer.points) {
        const key = `${point.start} ${point.endpoint ?? ""}`;
        const known = points.get(key);
        if (known) known.push(point);
        else points.set(key, [point]);
    }
    return new Map(
        answer.endpoints.map((name) => [
            name,
            answer.generator.map((each) => stretch(each, points.get(`${each.start} ${name}`) ?? [], false)),
        ]),
    );
}

function stretch(generator: GeneratorView, points: PointView[], isWhole: boolean): Stretch {
    const seconds = Math.max(generator.duration_seconds, 0.001);
    // Where warm-up and measured load meet, times are those of the measured load; counts are of both.
    const judged =
        points.find((point) => !point.warm_up && point.completed > 0) ?? points.find((point) => point.completed > 0);
    const sum = (read: (point: PointView) => number): number =>
        points.reduce((total, point) => total + read(point), 0) / seconds;
    const outcomes: Record<string, number> = {};
    for (const point of points) {
        for (const [name, number] of Object.entries(point.outcomes)) {
            outcomes[name] = (outcomes[name] ?? 0) + (number ?? 0) / seconds;
        }
    }
    return {
        start: generator.start,
        seconds: generator.duration_seconds,
        warmUp: points.length ? points.every((point) => point.warm_up) : generator.phase === "warm_up",
        offered: isWhole && generator.offered_rate > 0 ? generator.offered_rate : null,
        started: sum((point) => point.started),
        completed: sum((point) => point.completed),
        failed: sum((point) => point.failed),
        missed: sum((point) => point.missed),
        outcomes,
        response: judged ? timesOf(judged.latency) : NO_TIMES,
        service: judged ? timesOf(judged.service) : NO_TIMES,
        first_byte: judged ? timesOf(judged.first_byte) : NO_TIMES,
        lag: numeric(generator.schedule_lag.p99_ms),
        cpu: generator.cpu_share,
        inFlight: generator.in_flight,
    };
}

export const NO_TIMES: Times = { p50: null, p95: null, p99: null, max: null };

/** A second as the live stream tells it: response times only. */
export function stretchOfEvent(event: IntervalEvent): Stretch {
    const seconds = Math.max(event.duration_seconds, 0.001);
    const outcomes: Record<string, number> = {};
    for (const [name, number] of Object.entries(event.outcomes ?? {})) outcomes[name] = (number ?? 0) / seconds;
    return {
        start: event.second,
        seconds: event.duration_seconds,
        warmUp: event.warm_up,
        offered: event.offered_rate > 0 ? event.offered_rate : null,
        started: event.started / seconds,
        completed: event.completed / seconds,
        failed: event.failed / seconds,
        missed: (event.missed ?? 0) / seconds,
        outcomes,
        response: {
            p50: numeric(event.latency_p50_ms),
            p95: numeric(event.latency_p95_ms),
            p99: numeric(event.latency_p99_ms),
            max: numeric(event.latency_max_ms),
        },
        service: null,
        first_byte: null,
        lag: numeric(event.schedule_lag_p99_ms),
        cpu: event.cpu_share,
        inFlight: event.in_flight,
    };
}

/** What was known with what has come: later ones win, order is by time. */
export function merged(known: Stretch[], come: Stretch[]): Stretch[] {
    const first = come[0];
    if (!first) return known;
    const last = known.at(-1);
    if (!last || last.start < first.start) return [...known, ...come];
    const starts = new Set(come.map((each) => each.start));
    return [...known.filter((each) => !starts.has(each.start)), ...come].sort((a, b) => a.start - b.start);
}

/** A stretch at the end that is shorter than this is the rest of a second: its rate is that of an instant. */
const REST_SECONDS = 0.5;

/** As charts and tables have them: the rest of a second at the very end belongs to the second before it. */
export function drawable(stretches: Stretch[]): Stretch[] {
    const last = stretches.at(-1);
    const before = stretches.at(-2);
    if (!last || !before || last.seconds >= REST_SECONDS || before.seconds < REST_SECONDS) return stretches;
    return [...stretches.slice(0, -2), joined(before, last)];
}

/** Counts and highest times are of both, percentiles and the generator's figures of the longer one. */
function joined(long: Stretch, rest: Stretch): Stretch {
    const seconds = long.seconds + rest.seconds;
    const rate = (a: number, b: number): number => (a * long.seconds + b * rest.seconds) / seconds;
    const outcomes = Object.fromEntries(
        [...new Set([...Object.keys(long.outcomes), ...Object.keys(rest.outcomes)])].map((name) => [
            name,
            rate(long.outcomes[name] ?? 0, rest.outcomes[name] ?? 0),
        ]),
    );
    const times = <Of extends Times | null>(a: Of, b: Of): Of =>
        a?.p50 == null ? b : b === null ? a : { ...a, max: Math.max(a.max ?? 0, b.max ?? 0) };
    return {
        ...long,
        seconds,
        outcomes,
        started: rate(long.started, rest.started),
        completed: rate(long.completed, rest.completed),
        failed: rate(long.failed, rest.failed),
        missed: rate(long.missed, rest.missed),
        response: times(long.response, rest.response),
        service: times(long.service, rest.service),
        first_byte: times(long.first_byte, rest.first_byte),
    };
}

export interface Gap {
    start: number;
    end: number;
}

/** During a run, a second may come this much after those that follow it: until then it is late, not lost. */
export const LATE_SECONDS = 15;

/** Stretches of time of which nothing is known, between others of which something is. `live`: some may still come. */
export function gaps(known: Stretch[], resolution: number, live = false): Gap[] {
    const found: Gap[] = [];
    const settled = live ? (known.at(-1)?.start ?? 0) - LATE_SECONDS : Infinity;
    for (const [index, each] of known.entries()) {
        const next = known[index + 1];
        const end = each.start + Math.max(resolution, 1);
        if (next && next.start > end && next.start <= settled) found.push({ start: end, end: next.start });
    }
    return found;
}

/** Whether times are drawn on a logarithmic axis: when they span more than two decades. */
export function wantsLog(known: Stretch[], kind: TimeKind): boolean {
    const middles = known
        .map((each) => each[kind]?.p50 ?? null)
        .filter((each): each is number => each !== null && each > 0);
    const tops = known.map((each) => each[kind]?.max ?? 0).filter(Number.isFinite);
    if (!middles.length) return false;
    const middle = middles.toSorted((a, b) => a - b)[Math.floor(middles.length / 2)] ?? 0;
    return Math.max(...tops) / middle > 100;
}
