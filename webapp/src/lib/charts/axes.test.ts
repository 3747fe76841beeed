import { expect, test } from "vitest";

import { clockTicks, linearTicks, logTicks, niceStep, rateLabels, timeLabels } from "./axes";

test("steps are 1, 2 or 5 times a power of ten", () => {
    expect([7, 70, 0.9, 1200, 3].map((top) => niceStep(top, 4))).toEqual([2, 20, 0.5, 500, 1]);
});

test("ticks go from 0 to just beyond the top", () => {
    expect(linearTicks(150)).toEqual([0, 50, 100, 150]);
    expect(linearTicks(151).at(-1)).toBeGreaterThanOrEqual(151);
});

test("no two labels of an axis are alike", () => {
    for (const top of [0.003, 0.7, 1, 2, 3, 12.5, 99, 480, 1500, 62_000]) {
        const times = timeLabels(linearTicks(top)).map((tick) => tick.label);
        const rates = rateLabels(linearTicks(top)).map((tick) => tick.label);
        expect(new Set(times).size, String(top)).toBe(times.length);
        expect(new Set(rates).size, String(top)).toBe(rates.length);
    }
});

test("a logarithmic axis has whole powers and what lies nicely between", () => {
    expect(logTicks(3, 80)).toEqual([1, 2, 5, 10, 20, 50, 100]);
    expect(logTicks(0.02, 9000)).toEqual([0.01, 0.1, 1, 10, 100, 1000, 10_000]);
});

test("the clock of an axis has round steps", () => {
    expect(clockTicks(0, 60, 8)).toEqual([0, 10, 20, 30, 40, 50, 60]);
    expect(clockTicks(12, 24, 6)).toEqual([12, 14, 16, 18, 20, 22, 24]);
    expect(clockTicks(0, 7200, 8)).toHaveLength(9);
});
