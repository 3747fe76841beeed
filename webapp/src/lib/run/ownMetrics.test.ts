import { describe, expect, test } from "vitest";

import type { OwnFigures, OwnPointView, ThresholdResult } from "$lib/api/schema";
import { PALETTES } from "$lib/colours";
import { NO_TIMES, type Stretch } from "$lib/state/seconds";

import { factsOf, ownChanges, ownLimits, ownPlot, ownStretches } from "./ownMetrics";

const metric = (kind: OwnFigures["kind"], more: Partial<OwnFigures> = {}): OwnFigures => ({
    ...{ name: "orders", kind, unit: "", count: 2, total: null, rate: null, min: null, mean: null },
    ...{ p50: null, p90: null, p95: null, p99: null, max: null, last: null },
    ...more,
});
const point = (kind: OwnFigures["kind"], start: number, more: Partial<OwnPointView>): OwnPointView => ({
    ...metric(kind),
    start,
    warm_up: false,
    ...more,
});
const second = (start: number, seconds = 1): Stretch => ({
    ...{ start, seconds, warmUp: false, offered: null, started: 0, completed: 0, failed: 0, missed: 0, outcomes: {} },
    ...{ response: NO_TIMES, service: null, first_byte: null, lag: null, cpu: null, inFlight: null },
});
const KNOWN = [second(0), second(1), second(2, 0.5)];
const frame = { from: 0, to: 3, ticks: [] };

describe("the stretches of a metric", () => {
    test("a counter has a rate in each, which is 0 without values", () => {
        const points = [point("counter", 0, { total: 4 }), point("counter", 2, { total: 3 })];
        expect(ownStretches(metric("counter"), KNOWN, points).map(({ rate }) => rate)).toEqual([4, 0, 6]);
    });

    test("a gauge keeps its value until it is set again", () => {
        const points = [point("gauge", 1, { last: 7 })];
        expect(ownStretches(metric("gauge"), KNOWN, points).map(({ last }) => last)).toEqual([null, 7, 7]);
    });

    test("where warm-up and measured load meet, the measured load counts", () => {
        const points = [
            point("trend", 0, { p95: 1 }),
            point("trend", 0, { p95: 9, warm_up: true }),
            point("trend", 1, { p95: 5, warm_up: true }),
            { ...point("trend", 2, { p95: 8 }), name: "another" },
        ];
        expect(ownStretches(metric("trend"), KNOWN, points).map(({ p95 }) => p95)).toEqual([1, 5, null]);
    });
});

test("the axis of a gauge far from zero has its own range", () => {
    const gauge = metric("gauge");
    const plot = (values: number[]): number[] => {
        const points = values.map((last, start) => point("gauge", start, { last }));
        const known = ownStretches(gauge, KNOWN, points);
        return ownPlot(gauge, known, 1, frame, PALETTES.dark, []).yTicks.map(({ value }) => value);
    };
    expect(plot([990, 1000])[0]).toBeGreaterThan(900);
    expect(plot([1, 1000])[0]).toBe(0);
    expect(plot([-3, 2])[0]).toBeLessThanOrEqual(-3);
    expect(plot([5, 5]).length).toBeGreaterThan(1);
});

test("a chart has the upper limits on what it draws", () => {
    const rule = { own_metric: "orders", percentile: 95, statistic: null, comparison: "<", limit: 80 };
    const rules = [
        { ...rule, expression: "metric orders p95 < 80" },
        { ...rule, percentile: null, statistic: "mean", expression: "metric orders mean < 80" },
        { ...rule, own_metric: "another", expression: "metric another p95 < 80" },
    ] as ThresholdResult[];
    expect(ownLimits(metric("trend"), rules)).toEqual([{ value: 80, label: "p95 < 80" }]);
});

test("figures are named and spelled by kind", () => {
    expect(factsOf(metric("counter", { unit: "€", total: 12345, rate: 1.25 }))).toEqual([
        ["total", "12\u202f345 €"],
        ["rate", "1.25 €/s"],
    ]);
});

test("two runs are compared figure by figure", () => {
    const [a, b] = [metric("counter", { total: 100, rate: 10 }), metric("counter", { total: 150, rate: 10 })];
    expect(ownChanges([{ name: "orders", a, b }]).map(({ figure, change }) => [figure, change])).toEqual([
        ["total", "+50 %"],
        ["rate", "±0 %"],
    ]);
    expect(ownChanges([{ name: "orders", a: null, b }])[0]?.a).toBe("not in this run");
});
