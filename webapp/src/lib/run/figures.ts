// The figures of a run, of a window of it or of what has run so far, in one shape for everything that shows them. Pure.
import type { EndpointMetrics, IntervalEvent, MergedPointView, Metrics, Spread } from "$lib/api/schema";
import type { Figure } from "$lib/format";

export interface Percentiles {
    p50: Figure;
    p90: Figure;
    p95: Figure;
    p99: Figure;
    p999: Figure;
    max: Figure;
    mean: Figure;
}

/** What is drawn as a curve. */
export const CURVES = ["response", "service", "first_byte", "adjusted"] as const;
export type CurveKind = (typeof CURVES)[number];
/** Rows of the table of times. */
export const KINDS = ["response", "ok", "failed", "service", "first_byte", "adjusted"] as const;
export type Kind = (typeof KINDS)[number];

export const KIND_WORDS: Record<Kind, { label: string; title: string; what: string }> = {
    response: {
        label: "response",
        title: "Response",
        what: "From the intended start of the request to its last byte: what a user waits",
    },
    ok: {
        label: "ok",
        title: "Ok only",
        what: "Response times of requests that succeeded",
    },
    failed: {
        label: "failed",
        title: "Failed only",
        what: "Response times of failed requests with a response, and of timeouts at the time waited",
    },
    service: {
        label: "service",
        title: "Service",
        what: "From the actual start of the request to its last byte: what the server needs",
    },
    first_byte: {
        label: "first byte",
        title: "First byte",
        what: "From the actual start of the request to the first byte of the response",
    },
    adjusted: {
        label: "incl. failures",
        title: "Incl. failures",
        what: "Response times in which each failed, unfinished or missed request counts as ∞",
    },
};

export interface Figures {
    started: number | null;
    completed: number;
    ok: number;
    failed: number;
    missed: number;
    /** Completed per second of the window. */
    rate: Figure;
    errorRate: Figure;
    times: Partial<Record<Kind, Percentiles>>;
    /** The completed requests whose statuses and outcomes are known. */
    counted: number;
    statuses: Record<string, number>;
    outcomes: Record<string, number>;
    received: number | null;
    sent: number | null;
}

export function ofMetrics(metrics: EndpointMetrics | Metrics): Figures {
    const read = (prefix: string): Percentiles => {
        const at = (name: string): Figure => metrics[`${prefix}_${name}_ms` as "latency_p50_ms"];
        return {
            p50: at("p50"),
            p90: at("p90"),
            p95: at("p95"),
            p99: at("p99"),
            p999: at("p99_9"),
            max: at("max"),
            mean: at("mean"),
        };
    };
    return {
        started: metrics.total_requests,
        completed: metrics.successful_requests + metrics.failed_requests,
        ok: metrics.successful_requests,
        failed: metrics.failed_requests,
        missed: metrics.missed,
        rate: metrics.requests_per_second,
        errorRate: metrics.error_rate,
        times: {
            response: read("latency"),
            ...(metrics.failed_requests ? { ok: read("ok_latency"), failed: read("failed_latency") } : {}),
            service: read("service"),
            first_byte: read("first_byte"),
            adjusted: read("adjusted_latency"),
        },
        counted: metrics.successful_requests + metrics.failed_requests,
        statuses: metrics.status_code_counts,
        outcomes: metrics.errors_by_type as Record<string, number>,
        received: metrics.total_bytes_received,
        sent: metrics.total_bytes_sent,
    };
}

/** A merged window of `seconds` measured ones. */
export function ofPoint(point: MergedPointView, seconds: number): Figures {
    const outcomes = { ...point.outcomes } as Record<string, number>;
    delete outcomes.ok;
    return {
        started: point.started,
        completed: point.completed,
        ok: point.ok,
        failed: point.failed,
        missed: point.missed,
        rate: seconds > 0 ? point.completed / seconds : null,
        errorRate: point.completed ? point.failed / point.completed : 0,
        times: {
            response: ofSpread(point.latency),
            ...(point.failed ? { ok: ofSpread(point.ok_latency), failed: ofSpread(point.failed_latency) } : {}),
            service: ofSpread(point.service),
            first_byte: ofSpread(point.first_byte),
            adjusted: ofSpread(point.adjusted_latency),
        },
        counted: point.completed,
        statuses: point.statuses,
        outcomes,
        received: point.bytes_received,
        sent: point.bytes_sent,
    };
}

function ofSpread(spread: Spread): Percentiles {
    return {
        p50: spread.p50_ms,
        p90: spread.p90_ms,
        p95: spread.p95_ms,
        p99: spread.p99_ms,
        p999: spread.p99_9_ms,
        max: spread.max_ms,
        mean: spread.mean_ms,
    };
}

/** What the live stream says of the whole run so far: fresher than any merged window, and less. */
export function ofEvent(event: IntervalEvent): Figures {
    const so = event.so_far;
    return {
        started: so.started,
        completed: so.completed,
        ok: so.ok,
        failed: so.failed,
        missed: so.missed,
        rate: event.requests_per_second,
        errorRate: so.error_rate,
        times: {
            response: {
                p50: so.latency_p50_ms,
                p90: so.latency_p90_ms,
                p95: so.latency_p95_ms,
                p99: so.latency_p99_ms,
                p999: null,
                max: so.latency_max_ms,
                mean: null,
            },
        },
        counted: 0,
        statuses: {},
        outcomes: {},
        received: null,
        sent: null,
    };
}

/** Classes of statuses as charts stack them: 2xx, 3xx, 4xx, 5xx, no response. */
export const STATUS_CLASSES = ["2xx", "3xx", "4xx", "5xx", "no response"] as const;

export function statusClass(status: string): number {
    const first = Number(status[0]);
    return first >= 2 && first <= 5 ? first - 2 : 4;
}
