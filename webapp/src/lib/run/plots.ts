// From stretches of a run to what charts draw. Pure.
import { clockTicks, linearTicks, logTicks, rateLabels, type Tick, timeLabels } from "$lib/charts/axes";
import type { BarSeries, LineSeries, Point, Series } from "$lib/charts/draw";
import type { Limit } from "$lib/charts/frame";
import type { PlotData } from "$lib/charts/Plot.svelte";
import { type Palette, translucent } from "$lib/colours";
import type { DistributionView } from "$lib/api/schema";
import { clock, numeric } from "$lib/format";
import { type Stretch, type TimeKind, wantsLog } from "$lib/state/seconds";
import { FAILURE_KINDS, outcomeWords } from "$lib/verdict";

import { type Kind, KIND_WORDS } from "./figures";

export interface Frame {
    from: number;
    to: number;
    ticks: Tick[];
}

/** Seconds that the axis of a run in progress has room for at first; it doubles as they fill up. */
const ROOM = 120;

/** The common x axis of everything over time; of a run in progress with room for what is `planned` to come. */
export function frameOf(known: Stretch[], planned: number | null, wide: boolean): Frame {
    const last = known.at(-1);
    const end = last ? last.start + Math.max(last.seconds, 1) : 1;
    const room = ROOM * 2 ** Math.max(0, Math.ceil(Math.log2((end + 1) / ROOM)));
    return framed(0, Math.max(end, Math.min(planned ?? 0, room), 2), wide);
}

/** The x axis of a part of a run. */
export function framed(from: number, to: number, wide: boolean): Frame {
    return { from, to, ticks: clockTicks(from, to, wide ? 10 : 4).map((value) => ({ value, label: clock(value) })) };
}

export type Read = (each: Stretch) => number | null;

function points(known: Stretch[], read: Read, resolution: number): Point[] {
    const found: Point[] = [];
    let expected: number | null = null;
    for (const each of known) {
        // A hole in what is known is a hole in the line.
        if (expected !== null && each.start > expected + 0.5) found.push({ x: (expected + each.start) / 2, y: null });
        const value = read(each);
        found.push({
            x: each.start + middle(each, resolution),
            y: value !== null && Number.isFinite(value) ? value : null,
        });
        expected = each.start + Math.max(resolution, 1);
    }
    return found;
}

const middle = (each: Stretch, resolution: number): number => Math.min(Math.max(each.seconds, 0.2), resolution) / 2;
const top = (known: Stretch[], read: Read): number =>
    known.reduce((most, each) => Math.max(most, finite(read(each)) ?? 0), 0);
const finite = (value: number | null): number | null => (value !== null && Number.isFinite(value) ? value : null);

type More = Partial<Omit<LineSeries, "type" | "label" | "data" | "borderColor">>;

const line = (label: string, data: Point[], colour: string, more: More = {}): LineSeries => ({
    type: "line",
    label,
    data,
    borderColor: colour,
    ...more,
});

const bars = (label: string, known: Stretch[], read: Read, resolution: number, colour: string): BarSeries => ({
    type: "bar",
    label,
    data: known.map((each) => ({ x: each.start + middle(each, resolution), y: read(each) })),
    backgroundColor: colour,
});

/** A: offered against achieved rate; what is missing between them is shaded. */
export function ratePlot(known: Stretch[], resolution: number, frame: Frame, palette: Palette): PlotData {
    const high = Math.max(
        top(known, (each) => each.offered),
        top(known, (each) => each.completed),
        1,
    );
    const ticks = linearTicks(high * 1.02, 3);
    const offered = points(known, (each) => each.offered, resolution);
    const series: Series[] = [
        line("offered", offered, palette.muted, { borderDash: [4, 3], borderWidth: 1 }),
        line(
            "completed",
            points(known, (each) => each.completed, resolution),
            palette.info,
            {
                short: { of: offered, colour: translucent(palette.warn, 0.22) },
            },
        ),
        bars("failed", known, (each) => each.failed, resolution, palette.fail),
    ];
    return { series, xFrom: frame.from, xTo: frame.to, xTicks: frame.ticks, yTicks: rateLabels(ticks), log: false };
}

export type ScaleChoice = "auto" | "linear" | "log";

/** B: percentiles of each stretch by itself; the highest as dots. */
export function timePlot(
    known: Stretch[],
    resolution: number,
    frame: Frame,
    palette: Palette,
    kind: TimeKind,
    scale: ScaleChoice,
    limits: Limit[],
): PlotData {
    const read =
        (name: "p50" | "p95" | "p99" | "max"): Read =>
        (each) =>
            each[kind]?.[name] ?? null;
    const log = scale === "log" || (scale === "auto" && wantsLog(known, kind));
    const high = Math.max(
        top(known, read("max")),
        top(known, read("p99")),
        ...limits.map((limit) => limit.value),
        0.001,
    );
    const low = known.reduce((least, each) => {
        const value = finite(read("p50")(each));
        return value !== null && value > 0 ? Math.min(least, value) : least;
    }, high);
    const values = log ? logTicks(low, high) : linearTicks(high * 1.02, 4);
    const { p50, p95, p99 } = palette.percentiles;
    const series: Series[] = [
        line("max", points(known, read("max"), resolution), palette.control, { dots: 1.25 }),
        line("p50", points(known, read("p50"), resolution), p50),
        line("p95", points(known, read("p95"), resolution), p95),
        line("p99", points(known, read("p99"), resolution), p99),
    ];
    return {
        series,
        xFrom: frame.from,
        xTo: frame.to,
        xTicks: frame.ticks,
        yTicks: timeLabels(values),
        log,
        limits,
        ends: true,
    };
}

/** One endpoint of those that are drawn over each other. */
export interface Curve {
    name: string;
    known: Stretch[];
    colour: string;
    width: number;
    dash: number[];
}

/** One figure of several endpoints, a line for each; the first one lies on top. */
export function overlayPlot(
    curves: readonly Curve[],
    resolution: number,
    frame: Frame,
    read: Read,
    unit: "time" | "rate",
): PlotData {
    const high = Math.max(unit === "rate" ? 1 : 0.001, ...curves.map((each) => top(each.known, read)));
    const positive = curves.flatMap((each) => each.known.map(read)).filter((value) => value !== null && value > 0);
    const low = positive.reduce<number>((least, value) => Math.min(least, value ?? least), high);
    const log = unit === "time" && high / low > 100;
    const values = log ? logTicks(low, high) : linearTicks(high * 1.02, unit === "rate" ? 3 : 4);
    return {
        series: curves.map((each) =>
            line(each.name, points(each.known, read, resolution), each.colour, {
                borderWidth: each.width,
                borderDash: each.dash,
            }),
        ),
        xFrom: frame.from,
        xTo: frame.to,
        xTicks: frame.ticks,
        yTicks: unit === "rate" ? rateLabels(values) : timeLabels(values),
        log,
    };
}

/** The colour of a kind of failure, the same wherever it is drawn. */
export function failureColour(palette: Palette, kind: string): string {
    const [, , client, server, none] = palette.statuses;
    const colours: Record<string, string | undefined> = {
        unexpected_status: server,
        check_failed: client,
        timeout: none,
        connection_closed: palette.endpoints[6],
        connect_error: palette.endpoints[1],
        dns_error: palette.endpoints[3],
        tls_error: palette.endpoints[4],
        protocol_error: palette.endpoints[5],
    };
    return colours[kind] ?? palette.rest;
}

export function kindsOf(known: Stretch[]): string[] {
    return FAILURE_KINDS.filter((kind) => known.some((each) => (each.outcomes[kind] ?? 0) > 0));
}

/** C: failures by kind, stacked. */
export function failurePlot(known: Stretch[], resolution: number, frame: Frame, palette: Palette): PlotData {
    const kinds = kindsOf(known);
    const high = Math.max(
        top(known, (each) => each.failed),
        kinds.length ? 0.001 : 1,
    );
    return {
        series: kinds.map((kind) =>
            bars(
                outcomeWords(kind),
                known,
                (each) => each.outcomes[kind] ?? 0,
                resolution,
                failureColour(palette, kind),
            ),
        ),
        xFrom: frame.from,
        xTo: frame.to,
        xTicks: frame.ticks,
        yTicks: rateLabels(linearTicks(high, 2)),
        log: false,
        stacked: true,
    };
}

/** D: one figure of the generator. */
export function generatorPlot(
    known: Stretch[],
    resolution: number,
    frame: Frame,
    colour: string,
    read: Read,
    unit: "time" | "share" | "count",
): PlotData {
    const high = Math.max(top(known, read), unit === "share" ? 0.1 : unit === "count" ? 1 : 0.001);
    const values = linearTicks(high, 2);
    const labels =
        unit === "time"
            ? timeLabels(values)
            : unit === "share"
              ? values.map((value) => ({ value, label: `${Math.round(value * 100)} %` }))
              : rateLabels(values.filter(Number.isInteger));
    return {
        series: [line("", points(known, read, resolution), colour)],
        xFrom: frame.from,
        xTo: frame.to,
        xTicks: frame.ticks,
        yTicks: labels,
        log: false,
    };
}

const CURVE_TICKS = [0, 50, 90, 99, 99.9, 99.99, 99.999];

/** Where a percentile stands on an axis that is 1 / (1 - p): 50, 90, 99, 99.9 are evenly far apart. */
export function curveX(percentile: number): number {
    return -Math.log10(1 - Math.min(percentile, 99.9999) / 100);
}

/** E: the percentile curve of each kind of time. Failures at infinity leave at the top. */
export function curvePlot(distribution: DistributionView, palette: Palette, hidden: ReadonlySet<string>): PlotData {
    const { curve } = distribution;
    const last = curve.at(-1)?.percentile ?? 50;
    const kinds: [Kind, "response_ms" | "service_ms" | "first_byte_ms" | "adjusted_ms", string, More][] = [
        ["adjusted", "adjusted_ms", palette.fail, { borderDash: [3, 3] }],
        ["first_byte", "first_byte_ms", palette.percentiles.p50, { borderWidth: 1 }],
        ["service", "service_ms", palette.percentiles.p95, {}],
        ["response", "response_ms", palette.text, { borderWidth: 2 }],
    ];
    const all = curve.flatMap((point) => kinds.map(([, name]) => numeric(point[name])));
    const values = all.filter((value): value is number => value !== null && Number.isFinite(value) && value > 0);
    const [low, high] = [Math.min(...values, Infinity), Math.max(...values, 0)];
    const log = high / low > 20;
    const ticks = values.length ? (log ? logTicks(low, high) : linearTicks(high * 1.02, 4)) : [0, 1];
    const ceiling = ticks.at(-1) ?? 1;
    return {
        series: kinds
            .filter(([kind]) => !hidden.has(kind))
            .map(([kind, name, colour, more]) => {
                let left = false;
                const data = curve.map((point): Point => {
                    const value = numeric(point[name]);
                    const endless = value === Infinity;
                    const y = endless ? (left ? null : ceiling * (log ? 1.5 : 1.1)) : value;
                    left ||= endless;
                    return { x: curveX(point.percentile), y };
                });
                return line(KIND_WORDS[kind].label, data, colour, more);
            }),
        xFrom: 0,
        xTo: Math.max(curveX(last), 0.301),
        xTicks: CURVE_TICKS.filter((each) => each <= last + 1e-9).map((each) => ({
            value: curveX(each),
            label: each ? `p${each}` : "min",
        })),
        yTicks: timeLabels(ticks),
        log,
    };
}

/** `1 in 200 waited longer than 205 ms`, for the point of the curve that is nearest. */
export function oneIn(percentile: number): string {
    const rest = 100 / (100 - Math.min(percentile, 99.9999));
    const round = rest >= 100 ? Number(rest.toPrecision(2)) : rest >= 10 ? Math.round(rest) : Number(rest.toFixed(1));
    return `1 in ${round.toLocaleString("en").replaceAll(",", "\u202f")}`;
}
