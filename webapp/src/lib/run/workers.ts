// The workers of a run as its page lists them, while it runs and afterwards. Pure.
import type { FleetFigures, WorkerFigures, WorkerSecond } from "$lib/api/schema";
import { clock } from "$lib/format";

type Figure = WorkerSecond["schedule_lag_p99_ms"];

export interface WorkerRow {
    name: string;
    host: string;
    state: "running" | "ended" | "lost";
    /** `bad` and `poor` are shown with a sign and come first. */
    rank: "bad" | "poor" | "good";
    /** In a word: its state while it runs, then the verdict on its figures. */
    word: string;
    message: string;
    share: number;
    rate: number;
    lag: Figure;
    /** Shares of one core. */
    cpu: number;
    /** Requests in flight while it runs, requests started afterwards. */
    requests: number;
}

const RANKS = { bad: 0, poor: 1, good: 2 };

export function liveRows(workers: readonly WorkerSecond[]): WorkerRow[] {
    return workers
        .map((worker): WorkerRow => {
            const isLost = worker.state === "lost";
            return {
                ...common(worker),
                rank: isLost ? "bad" : "good",
                word: worker.state,
                message: isLost ? `last seen at ${clock(worker.delta)}: ${worker.message ?? ""}` : "",
                requests: worker.in_flight,
            };
        })
        .toSorted((a, b) => RANKS[a.rank] - RANKS[b.rank]);
}

export function endedRows({ workers }: FleetFigures): WorkerRow[] {
    return workers
        .map((worker): WorkerRow => {
            const { measurement, state, message } = worker;
            const isLost = state === "lost";
            return {
                ...common(worker),
                rank: isLost || measurement === "invalid" ? "bad" : measurement === "valid" ? "good" : "poor",
                word: isLost ? "lost" : measurement,
                message,
                requests: worker.requests,
            };
        })
        .toSorted((a, b) => Number(b.state === "lost") - Number(a.state === "lost") || RANKS[a.rank] - RANKS[b.rank]);
}

function common(
    worker: WorkerSecond | WorkerFigures,
): Pick<WorkerRow, "name" | "host" | "state" | "share" | "rate" | "lag" | "cpu"> {
    return {
        name: worker.name,
        // Workers of a cluster are named by their host.
        host: worker.name.includes(worker.host) ? "" : worker.host,
        state: worker.state,
        share: worker.share,
        rate: worker.requests_per_second,
        lag: worker.schedule_lag_p99_ms,
        cpu: worker.cpu_share,
    };
}
