import { expect, test } from "vitest";

import type { RunSummaryView } from "$lib/api/schema";

import {
    changeOfP95,
    filterOf,
    isByTest,
    filterWords,
    matches,
    NO_FILTER,
    problemsOf,
    queryOf,
    withRun,
    without,
} from "./runList";

const run = (id: string, more: Partial<RunSummaryView> = {}): RunSummaryView =>
    ({
        id,
        name: "shop",
        url: "https://api.example.com/cart",
        status: "completed",
        passed: true,
        outcome: "passed",
        created_at: "2026-07-10T10:00:00+00:00",
        tags: ["nightly"],
        latency_p95_ms: 10,
        ...more,
    }) as RunSummaryView;

const now = new Date("2026-07-10T12:00:00Z");

test("filters are read from an address, and what is unknown there is no filter", () => {
    const filter = filterOf(new URLSearchParams("status=failed&tag=nightly&when=century"));
    expect(filter).toEqual({ ...NO_FILTER, status: "failed", tag: "nightly" });
    expect(queryOf(filter, now, true)).toMatchObject({ outcome: "failed", tag: "nightly", since: undefined });
    expect(isByTest(filter)).toBe(false);
    expect(isByTest({ ...NO_FILTER, text: "cart" })).toBe(true);
});

test("dates are read from an address, and hold to the end of the last day", () => {
    const filter = filterOf(new URLSearchParams("since=2026-07-01&until=2026-07-10&when=7d"));
    expect(filter).toEqual({ ...NO_FILTER, since: "2026-07-01", until: "2026-07-10" });
    expect(queryOf(filter, now, true)).toMatchObject({
        since: "2026-07-01T00:00:00.000Z",
        until: "2026-07-11T00:00:00.000Z",
    });
    expect(isByTest(filter)).toBe(false);
    expect(matches(run("a"), filter, now, true)).toBe(true);
    expect(matches(run("a", { created_at: "2026-07-11T00:00:00+00:00" }), filter, now, true)).toBe(false);
    expect(matches(run("a", { created_at: "2026-06-30T23:59:59.9+00:00" }), filter, now, true)).toBe(false);
    expect(filterWords({ ...filter, status: "failed" })).toBe("Failed + since 2026-07-01 + until 2026-07-10");
});

test("an unknown filter of an address is reported by its name", () => {
    const problems = (text: string) => problemsOf(new URLSearchParams(text), true);
    expect(problems("status=failed&when=7d&since=&until=")).toEqual({});
    expect(problems("status=nice&when=century&since=soon&until=2026-02-30")).toEqual({
        status: expect.stringContaining("“nice” is not a status"),
        when: expect.stringContaining("“century” is not a time range"),
        since: expect.stringContaining("“soon” is not a date"),
        until: expect.stringContaining("“2026-02-30” is not a date"),
    });
    expect(problems("since=2026-07-02&until=2026-07-01")).toHaveProperty("until");
    expect(problems("since=2026-07-02&until=2026-07-02")).toEqual({});
    expect(problems("since=2026-07-02&when=7d")).toHaveProperty("when");
    expect(filterOf(new URLSearchParams("since=soon"))).toEqual(NO_FILTER);
});

test("a run matches when all filters hold", () => {
    expect(matches(run("a"), { ...NO_FILTER, text: "CART", tag: "nightly", when: "1d" }, now, true)).toBe(true);
    expect(matches(run("a"), { ...NO_FILTER, text: "CART", status: "failed" }, now, true)).toBe(false);
});

test("a new run goes to the front of its test, and its test to the front of the list", () => {
    const tests = [
        { name: "other", runs: 1, recent: [run("o", { name: "other" })] },
        { name: "shop", runs: 1, recent: [run("a")] },
    ];
    const after = withRun(tests, run("b"), true);
    expect(after.map((test) => test.name)).toEqual(["shop", "other"]);
    expect(after[0]).toMatchObject({ runs: 2, recent: [{ id: "b" }, { id: "a" }] });
    expect(withRun(tests, run("z"), false)).toBe(tests);
    expect(withRun(tests, run("a", { passed: false }), false)[1]?.recent[0]?.passed).toBe(false);
});

test("a deleted run leaves, and a test without runs leaves with it", () => {
    const tests = [{ name: "shop", runs: 1, recent: [run("a")] }];
    expect(without(tests, "a")).toEqual([]);
    expect(without(tests, "b")).toEqual(tests);
});

test("p95 is compared with the last run that came to figures", () => {
    const broken = run("c", { status: "failed", latency_p95_ms: null });
    expect(changeOfP95([run("b", { latency_p95_ms: 12 }), broken, run("a")])).toBeCloseTo(0.2);
    expect(changeOfP95([broken, run("a")])).toBeNull();
});
