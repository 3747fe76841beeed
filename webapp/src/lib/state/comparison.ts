// Two runs side by side: figures in words and in order, curves and time series on shared axes. Pure.
import type { CompareAnswer, CurvePoint, Difference } from "$lib/api/schema";
import { count, numeric, percent, rate, share, size, time } from "$lib/format";

import { drawable, type Stretch } from "./seconds";

type Kind = "time" | "rate" | "share" | "count" | "bytes";

const FIGURES: Record<string, { label: string; kind: Kind }> = {
    latency_p50_ms: { label: "p50", kind: "time" },
    latency_p90_ms: { label: "p90", kind: "time" },
    latency_p95_ms: { label: "p95", kind: "time" },
    latency_p99_ms: { label: "p99", kind: "time" },
    latency_p99_9_ms: { label: "p99.9", kind: "time" },
    latency_mean_ms: { label: "mean", kind: "time" },
    latency_max_ms: { label: "max", kind: "time" },
    ok_latency_p95_ms: { label: "p95 of ok responses", kind: "time" },
    ok_latency_p99_ms: { label: "p99 of ok responses", kind: "time" },
    adjusted_latency_p99_ms: { label: "p99 incl. failures", kind: "time" },
    service_p50_ms: { label: "service p50", kind: "time" },
    service_p95_ms: { label: "service p95", kind: "time" },
    service_p99_ms: { label: "service p99", kind: "time" },
    first_byte_p50_ms: { label: "first byte p50", kind: "time" },
    first_byte_p95_ms: { label: "first byte p95", kind: "time" },
    error_rate: { label: "error rate", kind: "share" },
    failed_requests: { label: "failed requests", kind: "count" },
    missed: { label: "missed requests", kind: "count" },
    throughput: { label: "throughput (ok)", kind: "rate" },
    requests_per_second: { label: "rate (completed)", kind: "rate" },
    total_requests: { label: "requests", kind: "count" },
    achieved_rate: { label: "started", kind: "rate" },
    total_bytes_received: { label: "received", kind: "bytes" },
    total_bytes_sent: { label: "sent", kind: "bytes" },
    iteration_time_p50_ms: { label: "iteration p50", kind: "time" },
    iteration_time_p95_ms: { label: "iteration p95", kind: "time" },
    iteration_time_p99_ms: { label: "iteration p99", kind: "time" },
    active_time_p95_ms: { label: "p95 without think time", kind: "time" },
    iteration_error_rate: { label: "failed iterations", kind: "share" },
    iterations_per_second: { label: "rate (completed)", kind: "rate" },
};

export function labelOf(name: string): string {
    return FIGURES[name]?.label ?? name.replaceAll("_", " ");
}

export function figure(name: string, value: Difference["a"]): string {
    switch (FIGURES[name]?.kind) {
        case "time":
            return time(value);
        case "share":
            return share(value);
        case "rate":
            return `${rate(value)} /s`;
        case "bytes":
            return size(numeric(value));
        default:
            return count(numeric(value));
    }
}

/** The absolute difference, in the unit of the figure; signed. */
export function delta(difference: Difference): string {
    const [a, b] = [numeric(difference.a), numeric(difference.b)];
    if (a === null || b === null || !Number.isFinite(a) || !Number.isFinite(b)) return a === b ? "±0" : "-";
    if (a === b) return "±0";
    const text = figure(difference.name, Math.abs(b - a));
    return `${b > a ? "+" : "−"}${FIGURES[difference.name]?.kind === "share" ? text.replace(" %", " points") : text}`;
}

export function changeText(difference: Difference): string {
    const { change } = difference;
    if (change === null) return "-";
    if (change === 0) return "±0 %";
    const sign = change > 0 ? "+" : "−";
    const size_ = Math.abs(change);
    // What differs never reads as if it did not.
    if (size_ < 0.005) return `${sign}<1 %`;
    return size_ >= 10 ? `${Math.round(size_ + 1)} ×` : `${sign}${percent(size_)}`;
}

/** Whether it became better, where it changed enough to be said in a whole percent. */
export function judged(difference: Difference): boolean | null {
    return difference.change !== null && Math.abs(difference.change) < 0.005 ? null : difference.better;
}

/** Worst first: what became worse by how much, then what stayed, then what became better. */
export function worstFirst(differences: readonly Difference[]): Difference[] {
    const badness = (each: Difference): number => {
        const better = judged(each);
        const change = Math.abs(each.change ?? (better === null ? 0 : Infinity));
        return better === false ? change : better === true ? -change : 0;
    };
    return differences.toSorted((a, b) => badness(b) - badness(a) || 0);
}

/** `p99 is 18 % slower (132 ms → 156 ms), rate unchanged`. */
export function inOneSentence(differences: readonly Difference[]): string {
    const of = (name: string): Difference | undefined => differences.find((each) => each.name === name);
    const p99 = of("latency_p99_ms");
    const failed = of("error_rate");
    const through = of("requests_per_second");
    return [p99 && timeWords(p99), failed && failedWords(failed), through && rateWords(through)]
        .filter(Boolean)
        .join(", ");
}

function timeWords(p99: Difference): string {
    const [a, b] = [figure(p99.name, p99.a), figure(p99.name, p99.b)];
    if (p99.change === null) return p99.a === p99.b ? "" : `p99 went from ${a} to ${b}`;
    if (Math.abs(p99.change) < 0.005) return `p99 unchanged at ${b}`;
    return `p99 is ${sizeOfChange(p99.change)} ${p99.change > 0 ? "higher" : "lower"} (${a} → ${b})`;
}

/** `18 %`; from ten times on `12 ×`, as in the table. */
function sizeOfChange(change: number): string {
    return change >= 10 ? `${Math.round(change + 1)} ×` : percent(Math.abs(change));
}

function failedWords(failed: Difference): string {
    const [a, b] = [numeric(failed.a) ?? 0, numeric(failed.b) ?? 0];
    if (a === b) return a === 0 ? "" : `error rate unchanged at ${share(b)}`;
    return `error rate ${share(a)} → ${share(b)}`;
}

function rateWords(through: Difference): string {
    if (through.change === null) return "";
    if (Math.abs(through.change) < 0.01) return "rate unchanged";
    return `rate ${through.change > 0 ? "+" : "−"}${percent(Math.abs(through.change))} (${figure(through.name, through.a)} → ${figure(through.name, through.b)})`;
}

/** The place of a percentile on an axis where each decade of the tail is as wide as the one before it. */
export function tail(percentile: number): number {
    return -Math.log10(1 - percentile / 100);
}

export const TAIL_TICKS = [0, 50, 90, 99, 99.9, 99.99, 99.999] as const;

export interface CurveData {
    a: { x: number; y: number | null }[];
    b: { x: number; y: number | null }[];
    /** b / a. */
    ratio: { x: number; y: number | null }[];
    to: number;
}

/** Both curves up to the last percentile with ten samples beyond it: what lies further out is chance. */
export function curves(points: readonly CurvePoint[], samples: number): CurveData {
    const drawn = points.filter((point) => point.percentile < 100 && (1 - point.percentile / 100) * samples >= 10);
    const y = (value: CurvePoint["a_ms"]): number | null => {
        const number = numeric(value);
        return number !== null && Number.isFinite(number) ? number : null;
    };
    return {
        a: drawn.map((point) => ({ x: tail(point.percentile), y: y(point.a_ms) })),
        b: drawn.map((point) => ({ x: tail(point.percentile), y: y(point.b_ms) })),
        ratio: drawn.map((point) => {
            const [a, b] = [y(point.a_ms), y(point.b_ms)];
            return { x: tail(point.percentile), y: a && b !== null ? b / a : null };
        }),
        to: tail(drawn.at(-1)?.percentile ?? 99),
    };
}

/** A figure of each stretch at its middle; a stretch without one is a gap. */
export function series(
    stretches: Stretch[],
    read: (stretch: Stretch) => number | null,
): { x: number; y: number | null }[] {
    return drawable(stretches).map((stretch) => ({ x: stretch.start + stretch.seconds / 2, y: read(stretch) }));
}

export interface EndpointChange {
    name: string;
    a: string;
    b: string;
    change: number | null;
    better: boolean | null;
    text: string;
    only: "" | "a" | "b";
}

/** One figure of every endpoint, worst first; those that only one of the runs has at the end. */
export function endpointChanges(answer: CompareAnswer, name: string): EndpointChange[] {
    const changes = answer.endpoints.map((endpoint): EndpointChange => {
        const found = endpoint.differences.find((each) => each.name === name);
        const own = (side: "a" | "b"): Difference["a"] =>
            (endpoint[side] as Record<string, Difference["a"]> | null)?.[name] ?? null;
        return {
            name: endpoint.name,
            a: figure(name, own("a")),
            b: figure(name, own("b")),
            change: found?.change ?? null,
            better: found ? judged(found) : null,
            text: found ? changeText(found) : "-",
            only: endpoint.a === null ? "b" : endpoint.b === null ? "a" : "",
        };
    });
    const badness = (each: EndpointChange): number =>
        each.only
            ? -Infinity
            : each.better === false
              ? Math.abs(each.change ?? Infinity)
              : each.better
                ? -Math.abs(each.change ?? 0)
                : 0;
    return changes.toSorted((x, y) => badness(y) - badness(x) || 0);
}

/** The stretches of two runs by the time since their start; null where one of them has none. */
export function sideBySide(a: Stretch[], b: Stretch[]): { start: number; a: Stretch | null; b: Stretch | null }[] {
    const [ofA, ofB] = [a, b].map((side) => new Map(side.map((each) => [each.start, each])));
    const starts = [...new Set([...a, ...b].map((each) => each.start))].toSorted((x, y) => x - y);
    return starts.map((start) => ({ start, a: ofA?.get(start) ?? null, b: ofB?.get(start) ?? null }));
}
