// The metrics that a test declares, from what the API answers to what their charts draw. Pure.
import type { CompareAnswer, IntervalEvent, OwnFigures, OwnPointView, ThresholdResult } from "$lib/api/schema";
import { linearTicks, logTicks, niceStep, type Tick } from "$lib/charts/axes";
import type { LineSeries } from "$lib/charts/draw";
import type { Limit } from "$lib/charts/frame";
import type { PlotData } from "$lib/charts/Plot.svelte";
import { type Palette, translucent } from "$lib/colours";
import { count, ownValue, percent, shown } from "$lib/format";
import type { Stretch } from "$lib/state/seconds";

import type { Frame } from "./plots";

/** The values of one metric in one stretch of a run; null where nothing was recorded. */
export interface OwnStretch {
    start: number;
    seconds: number;
    warmUp: boolean;
    /** Of a counter: added per second. */
    rate: number | null;
    p50: number | null;
    p95: number | null;
    p99: number | null;
    min: number | null;
    max: number | null;
    /** Of a gauge; it keeps its value until it is set again. */
    last: number | null;
}

export const KIND_TITLES: Record<OwnFigures["kind"], string> = { counter: "Counter", trend: "Trend", gauge: "Gauge" };

/** The points of the second that a live event tells of. */
export function pointsOfEvent(event: IntervalEvent): OwnPointView[] {
    return (event.own_metrics ?? []).map((each) => ({ ...each, start: event.second, warm_up: event.warm_up }));
}

/** The stretches of a metric: one for each stretch of the run. */
export function ownStretches(metric: OwnFigures, known: Stretch[], points: readonly OwnPointView[]): OwnStretch[] {
    const byStart = new Map<number, OwnPointView>();
    for (const point of points) {
        // Where warm-up and measured load meet, the measured load counts.
        if (point.name === metric.name && (!point.warm_up || !byStart.has(point.start)))
            byStart.set(point.start, point);
    }
    let held: number | null = null;
    return known.map((each) => {
        const point = byStart.get(each.start);
        held = point?.last ?? held;
        return {
            start: each.start,
            seconds: each.seconds,
            warmUp: each.warmUp,
            rate: (point?.total ?? 0) / Math.max(each.seconds, 0.001),
            p50: point?.p50 ?? null,
            p95: point?.p95 ?? null,
            p99: point?.p99 ?? null,
            min: point?.min ?? null,
            max: point?.max ?? null,
            last: held,
        };
    });
}

/** The figures of a metric with their names, as its card lists them. */
export function factsOf(metric: OwnFigures): [string, string][] {
    const of = (value: number | null | undefined, unit = metric.unit): string => shown(ownValue(value, unit));
    if (metric.kind === "counter")
        return [
            ["total", of(metric.total)],
            ["rate", of(metric.rate, `${metric.unit}/s`)],
        ];
    if (metric.kind === "gauge")
        return [
            ["last", of(metric.last)],
            ["min", of(metric.min)],
            ["max", of(metric.max)],
        ];
    // Seven values in a row are read best without the unit, which is beside the name.
    return [
        ["p50", of(metric.p50, "")],
        ["p95", of(metric.p95, "")],
        ["p99", of(metric.p99, "")],
        ["mean", of(metric.mean, "")],
        ["min", of(metric.min, "")],
        ["max", of(metric.max, "")],
        ["values", shown(count(metric.count))],
    ];
}

/** What the pointer finds in a stretch, with its names. */
export function readoutOf(metric: OwnFigures, each: OwnStretch): [string, string][] {
    const of = (value: number | null, unit = metric.unit): string => shown(ownValue(value, unit));
    if (metric.kind === "counter") return [["added", of(each.rate, `${metric.unit}/s`)]];
    if (metric.kind === "gauge") return [["last", of(each.last)], ...range(each, of)];
    return [["p50", of(each.p50)], ["p95", of(each.p95)], ["p99", of(each.p99)], ...range(each, of)];
}

function range(each: OwnStretch, of: (value: number | null) => string): [string, string][] {
    return each.min === null
        ? []
        : [
              ["min", of(each.min)],
              ["max", of(each.max)],
          ];
}

/** The limits of thresholds on what the chart of a metric draws. */
export function ownLimits(metric: OwnFigures, thresholds: readonly ThresholdResult[]): Limit[] {
    const drawn = { counter: ["rate"], gauge: ["last", "min", "max"], trend: [] as string[] }[metric.kind];
    return thresholds
        .filter((each) => each.own_metric === metric.name)
        .filter((each) => (each.percentile === null ? drawn.includes(each.statistic ?? "") : metric.kind === "trend"))
        .filter((each) => each.comparison.startsWith("<"))
        .map((each) => ({ value: each.limit, label: each.expression.replace(`metric ${metric.name} `, "") }));
}

/** A line for what is added per second, for each percentile, or for the last value. */
export function ownPlot(
    metric: OwnFigures,
    known: readonly OwnStretch[],
    resolution: number,
    frame: Frame,
    palette: Palette,
    limits: Limit[],
): PlotData {
    const { p50, p95, p99 } = palette.percentiles;
    const names = { counter: ["rate"], gauge: ["last"], trend: ["p50", "p95", "p99"] } as const;
    const colours: Record<string, string> = { rate: palette.info, last: palette.info, p50, p95, p99 };
    const lines = names[metric.kind].map((name): LineSeries => ({
        type: "line",
        label: metric.kind === "trend" ? name : "",
        data: pointsOf(known, name, resolution),
        borderColor: colours[name] ?? palette.info,
        ...(metric.kind === "counter" ? { fill: translucent(palette.info, 0.14) } : {}),
    }));
    const values = lines.flatMap((each) => each.data.flatMap(({ y }) => (y === null ? [] : [y])));
    const top = Math.max(...values, ...limits.map(({ value }) => value), -Infinity);
    const low = Math.min(...values, Infinity);
    const log = metric.kind === "trend" && low > 0 && top / low > 100;
    const ticks = !values.length ? [0, 1] : log ? logTicks(low, top) : axis(low, top, metric.kind === "gauge");
    return {
        series: lines,
        xFrom: frame.from,
        xTo: frame.to,
        xTicks: frame.ticks,
        yTicks: labelled(ticks),
        log,
        limits,
        ends: metric.kind === "trend",
    };
}

function pointsOf(known: readonly OwnStretch[], name: "rate" | "last" | "p50" | "p95" | "p99", resolution: number) {
    return known.map((each) => ({
        x: each.start + Math.min(Math.max(each.seconds, 0.2), resolution) / 2,
        y: each[name],
    }));
}

/** From zero; a gauge that stays far from it, or goes below, has an axis of its own range. */
function axis(low: number, top: number, isGauge: boolean): number[] {
    if (!isGauge || (low >= 0 && low < top / 2)) return linearTicks(Math.max(top, 1e-9) * 1.02, 3);
    const step = niceStep(Math.max(top - low, Math.abs(top) / 100, 1e-9), 3);
    const first = Math.floor(low / step);
    const last = Math.max(Math.ceil(top / step), first + 1);
    return Array.from({ length: last - first + 1 }, (_, n) => Number(((first + n) * step).toPrecision(12)));
}

const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

function labelled(ticks: number[]): Tick[] {
    return ticks.map((value) => ({
        value,
        label: Math.abs(value) >= 100_000 ? COMPACT.format(value) : shown(ownValue(value)),
    }));
}

export interface OwnChange {
    name: string;
    /** The first figure of its metric. */
    isFirst: boolean;
    figure: string;
    a: string;
    b: string;
    change: string;
}

/** The figures of the metrics of two runs side by side. */
export function ownChanges(metrics: CompareAnswer["own_metrics"]): OwnChange[] {
    return metrics.flatMap(({ name, a, b }) => {
        const [before, after] = [a ? factsOf(a) : [], b ? factsOf(b) : []];
        return (before.length ? before : after).map(([figure], index) => ({
            name,
            isFirst: index === 0,
            figure,
            a: before[index]?.[1] ?? "not in this run",
            b: after[index]?.[1] ?? "not in this run",
            change: changeOf(numberOf(a, figure), numberOf(b, figure)),
        }));
    });
}

function numberOf(metric: OwnFigures | null, figure: string): number | null {
    const value = metric?.[figure === "values" ? "count" : (figure as "total")];
    return value ?? null;
}

function changeOf(a: number | null, b: number | null): string {
    if (a === null || b === null || !a) return "";
    const part = (b - a) / Math.abs(a);
    return Math.abs(part) < 0.005 ? "same" : `${part > 0 ? "+" : "-"}${percent(Math.abs(part))}`;
}
