import { expect, test } from "vitest";

import type { IntervalsView } from "$lib/api/schema";

import { drawable, gaps, merged, type Stretch, stretches, stretchesOfEach, wantsLog } from "./seconds";

const spread = (p50: number | null, max = p50): unknown => ({
    p50_ms: p50,
    p95_ms: p50,
    p99_ms: p50,
    max_ms: max,
    min_ms: p50,
    mean_ms: p50,
    p90_ms: p50,
    p99_9_ms: p50,
});
const point = (start: number, more: object = {}): unknown => ({
    start,
    endpoint: null,
    warm_up: false,
    started: 10,
    completed: 10,
    ok: 9,
    failed: 1,
    missed: 0,
    outcomes: { ok: 9, timeout: 1 },
    statuses: {},
    latency: spread(5),
    service: spread(4),
    first_byte: spread(3),
    ...more,
});
const generator = (start: number, seconds = 1): unknown => ({
    start,
    phase: "hold",
    duration_seconds: seconds,
    offered_rate: 10,
    in_flight: 2,
    cpu_share: 0.3,
    schedule_lag: spread(0.1),
});
const answer = (points: unknown[], generators: unknown[]): IntervalsView =>
    ({ resolution: 1, points, generator: generators }) as IntervalsView;

test("a second in which nothing finished has a rate of 0 and no percentile", () => {
    const [first, second] = stretches(answer([point(0)], [generator(0), generator(1)]));
    expect(first).toMatchObject({ completed: 10, failed: 1, outcomes: { ok: 9, timeout: 1 }, response: { p50: 5 } });
    expect(second).toMatchObject({ completed: 0, response: { p50: null }, offered: 10 });
});

test("counts of longer stretches are drawn per second", () => {
    const [only] = stretches(answer([point(0, { completed: 100, failed: 20 })], [generator(0, 10)]));
    expect(only).toMatchObject({ completed: 10, failed: 2 });
});

test("the rest of a second at the end of a run is reported, and not drawn", () => {
    const known = stretches(answer([point(0), point(1), point(2)], [generator(0), generator(1), generator(2, 0.2)]));
    expect(known).toHaveLength(3);
    expect(drawable(known).map((each) => each.start)).toEqual([0, 1]);
    expect(drawable(known.slice(0, 2))).toHaveLength(2);
    // A whole run may be shorter than a second.
    expect(drawable(known.slice(2))).toHaveLength(1);
});

test("endpoints are of the same moments, whether they had an answer there or not", () => {
    const points = [point(0), point(0, { endpoint: "a" }), point(1, { endpoint: "b", completed: 4 })];
    const found = stretchesOfEach({ ...answer(points, [generator(0), generator(1)]), endpoints: ["a", "b"] });
    expect([...found.keys()]).toEqual(["a", "b"]);
    expect(found.get("a")).toMatchObject([
        { start: 0, completed: 10, response: { p50: 5 } },
        { start: 1, completed: 0, response: { p50: null } },
    ]);
    expect(found.get("b")).toMatchObject([
        { start: 0, completed: 0 },
        { start: 1, completed: 4 },
    ]);
});

test("where warm-up ends in the middle of a second, times are those of the measured load", () => {
    const both = [point(0, { warm_up: true, latency: spread(500) }), point(0)];
    const [only] = stretches(answer(both, [generator(0)]));
    expect(only).toMatchObject({ warmUp: false, completed: 20, response: { p50: 5 } });
});

test("what comes later wins, wherever it belongs", () => {
    const known = stretches(answer([], [generator(0), generator(1)]));
    const come = stretches(answer([point(1)], [generator(1), generator(2)]));
    expect(merged(known, come).map((each) => [each.start, each.completed])).toEqual([
        [0, 0],
        [1, 10],
        [2, 0],
    ]);
});

test("lost seconds are a gap", () => {
    const known = stretches(answer([], [generator(0), generator(4)]));
    expect(gaps(known, 1)).toEqual([{ start: 1, end: 4 }]);
    // During the run they may only be late.
    expect(gaps(known, 1, true)).toEqual([]);
    const later = stretches(answer([], [generator(0), ...[4, 5, 6, 20].map((at) => generator(at))]));
    expect(gaps(later, 1, true)).toEqual([{ start: 1, end: 4 }]);
});

test("times that span more than two decades are drawn on a logarithmic axis", () => {
    const at = (max: number): Stretch[] => stretches(answer([point(0, { latency: spread(5, max) })], [generator(0)]));
    expect(wantsLog(at(400), "response")).toBe(false);
    expect(wantsLog(at(600), "response")).toBe(true);
    expect(wantsLog([], "response")).toBe(false);
});
