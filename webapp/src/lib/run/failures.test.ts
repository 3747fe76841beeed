import { expect, test } from "vitest";

import type { FailureSummary, SampledExchange } from "$lib/api/schema";

import { failuresIn, totalOf } from "./failures";

const row = (name: string, completed: number, outcomes: Record<string, number>) => ({
    name,
    figures: { completed, failed: Object.values(outcomes).reduce((sum, each) => sum + each, 0), outcomes },
});
const kept = (request_number: number, outcome: string, message: string, more: Partial<SampledExchange> = {}) =>
    ({
        request_number,
        endpoint: "pay",
        outcome,
        message,
        warm_up: false,
        response_body: "",
        ...more,
    }) as SampledExchange;
const summary = (outcome: string, message: string): FailureSummary =>
    ({ outcome, endpoint: "pay", message, count: 99 }) as FailureSummary;

test("a window's failures are counted by its intervals, most first, whatever was kept of them", () => {
    const rows = [
        row("list", 50, {}),
        row("pay", 40, { timeout: 3, unexpected_status: 12, unfinished: 4, generator_error: 1 }),
    ];
    const found = failuresIn(
        rows,
        [kept(8, "unexpected_status", "503, expected 200", { response_body: ' {"error":\n "full"} ' })],
        [summary("timeout", "no full answer in 2 s")],
    );
    expect(found.map(({ outcome, count, message, sample }) => [outcome, count, message, sample])).toEqual([
        ["unexpected_status", 12, "503, expected 200", 8],
        ["timeout", 3, "no full answer in 2 s", null],
    ]);
    expect(found[0]?.example).toBe('{"error": "full"}');
    expect(totalOf(rows)).toMatchObject({ completed: 90 });
});

test("a message is not claimed for a window of which nothing was kept, where the run knows several", () => {
    const whole = [summary("timeout", "no full answer in 2 s"), summary("timeout", "no byte in 2 s")];
    expect(failuresIn([row("pay", 9, { timeout: 1 })], [], whole)[0]?.message).toBe("");
    const warm = [kept(1, "timeout", "no byte in 2 s", { warm_up: true })];
    expect(failuresIn([row("pay", 9, { timeout: 1 })], warm, whole)[0]).toMatchObject({ message: "", sample: null });
});
