import { describe, expect, it } from "vitest";

import type { CompareAnswer } from "$lib/api/schema";

import type { EndpointChange } from "./comparison";
import { byScenario, checkRows, type ComparedScenario, scenarioRows } from "./scenarioComparison";

const difference = (name: string, a: number, b: number) => ({ name, a, b, change: (b - a) / a, better: b < a });
const reached = (name: string, reached_share: number) => ({ name, endpoint: `browse/${name}`, reached_share });
const BROWSE = {
    name: "browse",
    a: { steps: [reached("list", 1), reached("open", 0.9)], before_user: [{ endpoint: "browse/before_user/login" }] },
    b: { steps: [reached("list", 1), reached("pay", 0.5)], before_user: [] },
    differences: [
        difference("iteration_time_p95_ms", 100, 150),
        difference("active_time_p95_ms", 100, 150),
        { ...difference("missed", 1, 1), a: 0, b: 0 },
        difference("iteration_error_rate", 0.1, 0.05),
    ],
} as unknown as ComparedScenario;
const check = (name: string, a: [number, number] | null, b: [number, number] | null) => {
    const side = (counts: [number, number] | null) =>
        counts && { passed: counts[0], failed: counts[1], passed_share: counts[0] / (counts[0] + counts[1]) };
    return { name, endpoint: "browse/list", a: side(a), b: side(b) };
};
const change = (name: string) => ({ name }) as EndpointChange;

describe("a scenario of two runs", () => {
    it("has its figures, then the share that reached each step", () => {
        const rows = scenarioRows(BROWSE).map(({ label, a, b, better }) => [label, a, b, better]);
        expect(rows).toEqual([
            ["iteration p95", "100 ms", "150 ms", false],
            ["failed iterations", "10.0 %", "5.0 %", true],
            ["reached list", "100 %", "100 %", null],
            ["reached open", "90.0 %", "-", null],
            ["reached pay", "-", "50.0 %", null],
        ]);
    });
    it("has the steps as endpoints, under their names in it", () => {
        const answer = { scenarios: [BROWSE] } as CompareAnswer;
        const changes = ["browse/open", "other", "browse/before_user/login"].map(change);
        const groups = byScenario(answer, changes).map(({ scenario, rows }) => [
            scenario,
            rows.map(({ name }) => name),
        ]);
        expect(groups).toEqual([
            ["browse", ["open", "before_user/login"]],
            ["", ["other"]],
        ]);
        expect(byScenario({ scenarios: [] as unknown } as CompareAnswer, changes)).toHaveLength(1);
    });
});

it("lists checks that did not pass every time in both runs, those that became worse first", () => {
    const checks = [
        check("same", [5, 0], [9, 0]),
        check("better", [1, 9], [9, 1]),
        check("new", null, [5, 0]),
        check("worse", [10, 0], [19, 1]),
    ];
    const rows = checkRows({ checks } as CompareAnswer).map(({ name, a, b, better }) => [name, a, b, better]);
    expect(rows).toEqual([
        ["worse", "100 % of 10", "95.0 % of 20", false],
        ["new", "not in this run", "100 % of 5", null],
        ["better", "10.0 % of 10", "90.0 % of 10", true],
    ]);
});
