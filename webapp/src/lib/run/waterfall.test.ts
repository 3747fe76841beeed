import { expect, test } from "vitest";

import type { SampledIteration, SampledStep } from "$lib/api/schema";

import { barsOf, lateness, stepName, thinkAfter } from "./waterfall";

function step(at_seconds: number, fields: Partial<SampledStep> = {}): SampledStep {
    return {
        request_number: 1,
        endpoint: "shop/list",
        warm_up: false,
        reason: "first",
        outcome: "ok",
        message: "",
        at_seconds,
        response_ms: 30,
        service_ms: 20,
        first_byte_ms: 15,
        status: 200,
        url: "http://h/",
        request_head: "GET / HTTP/1.1",
        request_headers: [],
        request_body: "",
        request_body_bytes: 0,
        response_head: "HTTP/1.1 200 OK",
        response_headers: [],
        response_body: "",
        response_body_bytes: 0,
        think_ms: 0,
        checks: [],
        values: [],
        ...fields,
    };
}

function iteration(steps: SampledStep[], time_ms = 100): SampledIteration {
    return {
        scenario: "shop",
        number: 7,
        user: 1,
        reason: "first",
        outcome: "completed",
        at_seconds: 2,
        time_ms,
        active_ms: 60,
        steps,
        requests_left_out: 0,
    };
}

test("bars follow each other: think time, lateness, wait for the first byte, reading", () => {
    const second = step(2.07, { think_ms: 40 });
    const numbers = barsOf(iteration([step(2), second])).map((bar) =>
        [bar.think, bar.late, bar.wait, bar.read].flatMap(({ left, width }) => [left, width]).map(Math.round),
    );
    expect(numbers).toEqual([
        [0, 0, 0, 10, 10, 15, 25, 5],
        [30, 40, 70, 10, 80, 15, 95, 5],
    ]);
    expect(lateness(second)).toBe(10);
});

test("a request without a response waits until its end, and no bar leaves the line", () => {
    const lost = barsOf(iteration([step(2, { first_byte_ms: null, response_ms: 400, service_ms: 400 })]));
    expect(lost.map((bar) => [bar.wait, bar.read.width])).toEqual([[{ left: 0, width: 100 }, 0]]);
    const instant = barsOf(iteration([step(2, { response_ms: 0, service_ms: 0, first_byte_ms: 0 })], 0));
    expect(instant.map((bar) => bar.read.width)).toEqual([0]);
});

test("the think time after the last request is what is left of the iteration", () => {
    expect(thinkAfter(iteration([step(2)]))).toBeCloseTo(70);
    expect(thinkAfter({ ...iteration([step(2)]), requests_left_out: 3 })).toBe(0);
    expect(thinkAfter(iteration([]))).toBe(0);
    expect(thinkAfter(iteration([step(2)], 30.0000001))).toBe(0);
});

test("a step is named within its scenario", () => {
    expect(stepName(iteration([]), step(2))).toBe("list");
    expect(stepName(iteration([]), step(2, { endpoint: "other" }))).toBe("other");
});
