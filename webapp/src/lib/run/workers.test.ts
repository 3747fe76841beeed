import { describe, expect, it } from "vitest";

import type { WorkerFigures, WorkerSecond } from "$lib/api/schema";

import { endedRows, liveRows } from "./workers";

const SECOND: WorkerSecond = {
    name: "worker 1",
    host: "load-1",
    state: "running",
    share: 0.5,
    requests_per_second: 50,
    schedule_lag_p99_ms: 0.2,
    cpu_share: 0.3,
    busiest_thread_share: 0.3,
    in_flight: 3,
    delta: 9,
    measurement: "valid",
    message: "",
};

const FIGURES: WorkerFigures = {
    ...SECOND,
    state: "ended",
    requests: 500,
    service_p50_ms: 12,
    clock_error_ms: 0,
};

describe("workers", () => {
    it("of a run in progress: lost ones first, with when they were last seen, then the worst measurements", () => {
        const [lost, late, running] = liveRows([
            SECOND,
            { ...SECOND, name: "worker 3", measurement: "invalid", message: "requests started late" },
            { ...SECOND, name: "worker 2", state: "lost", delta: 7, message: "it did not answer" },
        ]);
        expect(late).toMatchObject({ rank: "bad", word: "invalid", message: "requests started late" });
        expect(lost).toMatchObject({ name: "worker 2", rank: "bad", message: "last seen at 00:07: it did not answer" });
        expect(running).toMatchObject({ name: "worker 1", word: "running", message: "", requests: 3 });
    });

    it("of a run that has ended: lost ones, then the worst measurements", () => {
        const named = (name: string, more: Partial<WorkerFigures>): WorkerFigures => ({ ...FIGURES, name, ...more });
        const rows = endedRows({
            on_loss: "continue",
            workers: [
                named("a", {}),
                named("b", { measurement: "suspect", message: "late" }),
                named("c", { measurement: "invalid" }),
                named("d on load-1", { state: "lost", measurement: "suspect" }),
            ],
        });
        expect(rows.map(({ name, word }) => [name, word])).toEqual([
            ["d on load-1", "lost"],
            ["c", "invalid"],
            ["b", "suspect"],
            ["a", "valid"],
        ]);
        // Its name says on which host it is.
        expect(rows.map(({ host }) => host)).toEqual(["", "load-1", "load-1", "load-1"]);
    });
});
