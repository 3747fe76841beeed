import { expect, test } from "vitest";

import { verdictOf } from "./verdict";

test("a run that was ended before its time did not pass, and one that had failed by then has", () => {
    const stopped = { status: "completed", passed: true, measurement: "valid", stop_reason: "stopped" } as const;
    expect(verdictOf(stopped)).toMatchObject({ word: "Stopped", tone: "muted" });
    expect(verdictOf({ ...stopped, passed: false })).toMatchObject({ word: "Failed", tone: "fail" });
    expect(verdictOf({ ...stopped, stop_reason: "duration" })).toMatchObject({ word: "Passed", tone: "pass" });
    expect(verdictOf({ ...stopped, status: "cancelled", passed: null })).toMatchObject({ word: "Cancelled" });
});
