// The workers of a run as its page lists them, while it runs and afterwards. Pure.
import type { FleetFigures, WorkerFigures, WorkerSecond } from "$lib/api/schema";
import { clock } from "$lib/format";

type Figure = WorkerSecond["schedule_lag_p99_ms"];

export interface WorkerRow {
    name: string;
    host: string;
    state: "running" | "ended" | "lost" | "missing";
    /** `bad` and `poor` are shown with a sign and come first. */
    rank: "bad" | "poor" | "good";
    /** In a word: the verdict on its figures; while it runs, its state if the verdict is valid. */
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
            const hasVerdict = worker.state === "running" || worker.state === "ended";
            const isBad = isLost || (hasVerdict && worker.measurement === "invalid");
            const isPoor = worker.state === "missing" || worker.measurement === "suspect";
            return {
                ...common(worker),
                rank: isBad ? "bad" : isPoor ? "poor" : "good",
                word: hasVerdict && worker.measurement !== "valid" ? worker.measurement : worker.state,
                message: isLost
                    ? `last seen at ${clock(worker.delta)}: ${worker.message ?? ""}`
                    : (worker.message ?? ""),
                requests: worker.in_flight,
            };
        })
        .toSorted(lostThenWorst);
}

export function endedRows({ workers }: FleetFigures): WorkerRow[] {
    return workers
        .map((worker): WorkerRow => {
            const { measurement, state, message } = worker;
            const hasVerdict = state === "ended";
            const isBad = state === "lost" || measurement === "invalid";
            return {
                ...common(worker),
                rank: isBad ? "bad" : hasVerdict && measurement === "valid" ? "good" : "poor",
                word: hasVerdict ? measurement : state,
                message,
                requests: worker.requests,
            };
        })
        .toSorted(lostThenWorst);
}

function lostThenWorst(a: WorkerRow, b: WorkerRow): number {
    return Number(b.state === "lost") - Number(a.state === "lost") || RANKS[a.rank] - RANKS[b.rank];
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
