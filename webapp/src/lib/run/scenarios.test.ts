import { describe, expect, it } from "vitest";

import type { CheckFigures, ScenarioMetrics, ScenarioSoFar, Spread } from "$lib/api/schema";

import { books, failedFirst, type Scenario, thinks } from "./scenarios";

const TIMES: Spread = {
    min_ms: 1,
    mean_ms: 2,
    p50_ms: 2,
    p90_ms: 3,
    p95_ms: 3,
    p99_ms: 3,
    p99_9_ms: 3,
    max_ms: 3,
};
const BROWSE: ScenarioMetrics = {
    name: "browse",
    due: 33,
    started: 30,
    missed: 3,
    completed: 20,
    failed: 8,
    unfinished: 2,
    iteration_error_rate: 8 / 28,
    iterations_per_second: 8,
    iteration_time: TIMES,
    active_time: TIMES,
    steps: [],
    before_user: [],
};
const check = (name: string, passed: number, failed: number): CheckFigures => ({
    name,
    endpoint: "browse/list",
    passed,
    failed,
    passed_share: passed + failed ? passed / (passed + failed) : null,
});

describe("the books of a scenario", () => {
    it("add up over a whole run", () => {
        expect(books(BROWSE)).toBe("30 started = 20 completed + 8 failed + 2 unfinished · 3 missed");
    });
    it("have what is in progress during a run", () => {
        const soFar: Scenario = Object.fromEntries(
            Object.entries(BROWSE).filter(([name]) => name !== "unfinished"),
        ) as unknown as ScenarioSoFar;
        expect(books({ ...soFar, missed: 0 })).toBe("30 started = 20 completed + 8 failed + 2 in progress");
    });
    it("are no sum in a window that cuts through iterations", () => {
        expect(books({ ...BROWSE, started: 12, missed: 0 })).toBe("12 started, 20 completed + 8 failed");
    });
});

it("tells think time by the times without it", () => {
    expect(thinks(BROWSE)).toBe(false);
    expect(thinks({ ...BROWSE, active_time: { ...TIMES, p50_ms: 1 } })).toBe(true);
});

it("puts failed checks first, then those without an evaluation", () => {
    const checks = [check("a", 5, 0), check("b", 0, 0), check("c", 9, 1), check("d", 1, 9), check("e", 5, 0)];
    expect(failedFirst(checks).map(({ name }) => name)).toEqual(["d", "c", "b", "a", "e"]);
});
