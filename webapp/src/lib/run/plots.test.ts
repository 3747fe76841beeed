import { expect, test } from "vitest";

import { PALETTES } from "$lib/colours";
import type { Stretch } from "$lib/state/seconds";

import { failurePlot, frameOf } from "./plots";

const until = (second: number): Stretch[] => [{ start: second - 1, seconds: 1, outcomes: {}, failed: 0 } as Stretch];

test("a run in progress has an axis that it fills: it doubles, up to what is planned", () => {
    expect(frameOf(until(1), 1800, true).to).toBe(120);
    expect(frameOf(until(118), 1800, true).to).toBe(120);
    expect(frameOf(until(121), 1800, true).to).toBe(240);
    expect(frameOf(until(1700), 1800, true).to).toBe(1800);
    expect(frameOf(until(30), 60, true).to).toBe(60);
    // One that takes longer than planned, and one that has ended, end where their data do.
    expect(frameOf(until(70), 60, true).to).toBe(70);
    expect(frameOf(until(45), null, true).to).toBe(45);
});

test("no two labels of an axis are alike where nothing failed", () => {
    const { yTicks } = failurePlot(until(5), 1, frameOf(until(5), null, true), PALETTES.dark);
    const labels = yTicks.map((tick) => tick.label);
    expect(new Set(labels).size).toBe(labels.length);
});
