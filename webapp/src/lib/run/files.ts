// What is saved from the page itself: the points of the charts as a file that spreadsheets read, and charts as pictures.
import type { Stretch } from "$lib/state/seconds";

const COLUMNS = [
    ["start_seconds", (each: Stretch) => each.start],
    ["length_seconds", (each: Stretch) => each.seconds],
    ["warm_up", (each: Stretch) => each.warmUp],
    ["offered_per_second", (each: Stretch) => each.offered],
    ["started_per_second", (each: Stretch) => each.started],
    ["completed_per_second", (each: Stretch) => each.completed],
    ["failed_per_second", (each: Stretch) => each.failed],
    ["missed_per_second", (each: Stretch) => each.missed],
    ["latency_p50_ms", (each: Stretch) => each.response.p50],
    ["latency_p95_ms", (each: Stretch) => each.response.p95],
    ["latency_p99_ms", (each: Stretch) => each.response.p99],
    ["latency_max_ms", (each: Stretch) => each.response.max],
    ["schedule_lag_p99_ms", (each: Stretch) => each.lag],
    ["cpu_share", (each: Stretch) => each.cpu],
    ["in_flight", (each: Stretch) => each.inFlight],
] as const;

/** One line for each stretch; nothing where nothing was measured. */
export function csvOf(known: Stretch[]): string {
    const lines = known.map((each) => COLUMNS.map(([, read]) => read(each) ?? "").join(","));
    return [COLUMNS.map(([name]) => name).join(","), ...lines, ""].join("\r\n");
}

/** Hands a text to the browser as a file. */
export function save(name: string, type: string, text: string): void {
    saveBlob(name, new Blob([text], { type }));
}

/** Hands a file to the browser. */
export function saveBlob(name: string, blob: Blob): void {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
}
