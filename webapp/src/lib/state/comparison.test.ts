import { describe, expect, it } from "vitest";

import type { CompareAnswer, Difference } from "$lib/api/schema";

import * as comparison from "./comparison";
import type { Stretch } from "./seconds";

const difference = (
    name: string,
    a: Difference["a"],
    b: Difference["b"],
    better: boolean | null = null,
): Difference => ({
    name,
    a,
    b,
    change: typeof a === "number" && typeof b === "number" && a !== 0 ? (b - a) / a : null,
    better,
});

describe("a comparison", () => {
    it("is said in one sentence", () => {
        const said = comparison.inOneSentence([
            difference("latency_p99_ms", 132, 156, false),
            difference("error_rate", 0, 0),
            difference("requests_per_second", 500, 499),
        ]);
        expect(said).toBe("p99 is 18 % higher (132 ms → 156 ms), rate unchanged");
        expect(
            comparison.inOneSentence([
                difference("latency_p99_ms", 100, "Infinity", false),
                difference("error_rate", 0.01, 0.02, false),
            ]),
        ).toBe("p99 went from 100 ms to ∞, error rate 1.0 % → 2.0 %");
        expect(comparison.inOneSentence([])).toBe("");
    });

    it("has what became worst at the top and what became better at the end", () => {
        const sorted = comparison.worstFirst([
            difference("a", 10, 5, true),
            difference("b", 10, 11, false),
            difference("c", 10, 10),
            difference("d", 10, 20, false),
            { ...difference("e", 0, 5, false), change: null },
        ]);
        expect(sorted.map((each) => each.name)).toEqual(["e", "d", "b", "c", "a"]);
    });

    it("never shows a change as none", () => {
        expect(comparison.changeText(difference("latency_p50_ms", 1000, 1001))).toBe("+<1 %");
        expect(comparison.changeText(difference("latency_p50_ms", 10, 9))).toBe("−10 %");
        expect(comparison.changeText(difference("latency_p50_ms", 10, 10))).toBe("±0 %");
        expect(comparison.changeText(difference("latency_p50_ms", 10, 250))).toBe("25 ×");
        expect(comparison.changeText(difference("failed_requests", 0, 5))).toBe("-");
    });

    it("gives differences in the unit of the figure", () => {
        expect(comparison.delta(difference("latency_p99_ms", 132, 156))).toBe("+24.0 ms");
        expect(comparison.delta(difference("error_rate", 0.05, 0.02))).toBe("−3.0 points");
        expect(comparison.delta(difference("total_requests", 1000, 1000))).toBe("±0");
        expect(comparison.delta(difference("latency_p99_ms", 1, "Infinity"))).toBe("-");
    });

    it("gives every decade of the tail the same room", () => {
        expect([0, 90, 99, 99.9].map((each) => Number(comparison.tail(each).toFixed(6)))).toEqual([0, 1, 2, 3]);
        const { a, b, ratio, to } = comparison.curves(
            [
                { percentile: 50, a_ms: 10, b_ms: 15 },
                { percentile: 99, a_ms: 20, b_ms: "Infinity" },
                { percentile: 99.9, a_ms: 25, b_ms: 30 },
                { percentile: 100, a_ms: 30, b_ms: 30 },
            ],
            1000,
        );
        expect(a.length).toBe(2);
        expect(b[1]?.y).toBeNull();
        expect(ratio.map((point) => point.y)).toEqual([1.5, null]);
        expect(to).toBeCloseTo(2);
    });

    it("calls nothing better or worse that has not changed by a percent", () => {
        expect(comparison.judged(difference("requests_per_second", 145, 144.9, false))).toBeNull();
        expect(comparison.judged(difference("latency_p99_ms", 100, 101, false))).toBe(false);
        expect(comparison.judged(difference("latency_p99_ms", 100, 90, true))).toBe(true);
        expect(comparison.judged(difference("missed", 0, 5, false))).toBe(false);
    });

    it("over time has each moment of either run once", () => {
        const at = (start: number): Stretch => ({ start, completed: start }) as unknown as Stretch;
        const rows = comparison.sideBySide([at(0), at(1)], [at(0), at(2)]);
        expect(rows.map(({ start, a, b }) => [start, a?.completed, b?.completed])).toEqual([
            [0, 0, 0],
            [1, 1, undefined],
            [2, undefined, 2],
        ]);
    });

    it("of endpoints has those of one run only at the end", () => {
        const metrics = { latency_p95_ms: 5 };
        const answer = {
            endpoints: [
                { name: "new", a: null, b: metrics, differences: [] },
                { name: "better", a: metrics, b: metrics, differences: [difference("latency_p95_ms", 10, 5, true)] },
                { name: "worse", a: metrics, b: metrics, differences: [difference("latency_p95_ms", 5, 10, false)] },
            ],
        } as unknown as CompareAnswer;
        expect(comparison.endpointChanges(answer, "latency_p95_ms").map(({ name, only }) => `${name} ${only}`)).toEqual(
            ["worse ", "better ", "new b"],
        );
    });
});
