import { expect, it } from "vitest";

import type { RunResult } from "$lib/api/schema";

import { hooksOf } from "./hooks";

const PASSED = { status: "passed", steps: 2, seconds: 0.5, failed_step: "", message: "", hint: "" };
const FAILED = { status: "failed", steps: 1, seconds: 1.5, failed_step: "teardown/clean", message: "503", hint: "why" };

it("says what setup and teardown did, if the spec has them", () => {
    expect(hooksOf(null)).toEqual([]);
    expect(hooksOf({ setup: null } as RunResult)).toEqual([]);
    expect(hooksOf({ setup: PASSED, teardown: FAILED } as RunResult)).toEqual([
        { name: "Setup", status: "passed", words: "2 steps in 500 ms", hint: "" },
        { name: "Teardown", status: "failed", words: "at teardown/clean: 503 · 1 step in 1.5 s", hint: "why" },
    ]);
});
