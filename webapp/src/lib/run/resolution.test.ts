import { expect, test } from "vitest";
import { rowResolution } from "./resolution";

const MOST_POINTS = 20_000; // The API refuses more.

test.each([
    ["a short run", 90, 3, "1"],
    ["ten minutes", 600, 3, "10"],
    ["two hours with 50 endpoints", 7200, 51, "60"],
    ["a day with 50 endpoints", 86_400, 51, "600"],
    ["a week with 50 endpoints", 604_800, 51, "3600"],
])("%s is read in points that the API returns", (_, length, names, resolution) => {
    expect(rowResolution(length, names)).toBe(resolution);
    expect((length / Number(resolution)) * names).toBeLessThan(MOST_POINTS);
});
