import { describe, expect, it } from "vitest";

import type { ThresholdResult } from "$lib/api/schema";

import { measured, passedByName, timeLimit } from "./thresholds";

const P99: ThresholdResult = {
    is_implied: false,
    expression: "p99 < 300 ms",
    endpoint: null,
    metric: "latency",
    statistic: null,
    percentile: 99,
    comparison: "<",
    window_seconds: null,
    actual: 352,
    limit: 300,
    unit: "ms",
    passed: false,
    margin: -0.17,
    message: "",
};

describe("a threshold", () => {
    it("draws a line for a percentile of the response time over the whole run, whatever its text says", () => {
        expect(timeLimit({ ...P99, expression: "as written" })).toBe(300);
        for (const other of [
            { metric: "service" },
            { percentile: null, statistic: "mean" as const },
            { comparison: ">" as const },
            { window_seconds: 10 },
        ])
            expect(timeLimit({ ...P99, ...other })).toBeNull();
    });

    it("spells what was measured by its unit", () => {
        const spelled = (more: Partial<ThresholdResult>): string =>
            measured({ ...P99, ...more }).replaceAll("\u202f", " ");
        expect(spelled({})).toBe("352 ms");
        expect(spelled({ unit: "share", actual: 0.142 })).toBe("14.2 %");
        expect(spelled({ unit: "per_second", actual: 51.5 })).toBe("51.5 /s");
        expect(spelled({ actual: null })).toBe("-");
    });

    it("colours the figure that it judged, by the worst of several", () => {
        const rules: ThresholdResult[] = [
            P99,
            { ...P99, passed: true },
            { ...P99, metric: "rps", percentile: null, unit: "per_second", passed: true },
            { ...P99, metric: "ok_latency", passed: true },
            { ...P99, endpoint: "shop", percentile: 95 },
        ];
        expect(passedByName(rules)).toEqual({ p99: false, rps: true, "ok_latency p99": true });
    });
});
