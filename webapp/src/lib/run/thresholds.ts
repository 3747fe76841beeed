// What a threshold came to, in the words of the terminal's report. Pure.
import type { MeasurementReason, RunResult, RunView, SoFar, ThresholdResult } from "$lib/api/schema";
import { multiple, NO_DATA, numeric, ownValue, percent, rate, share, time } from "$lib/format";

/** What was measured, with its unit; `-` without data. */
export function measured(threshold: ThresholdResult): string {
    if (threshold.actual === null) return NO_DATA;
    switch (threshold.unit) {
        case "ms":
            return time(threshold.actual);
        case "share":
            return share(threshold.actual);
        case "per_second":
            return `${rate(threshold.actual)} /s`;
        case "own":
            return ownValue(threshold.actual, threshold.own_unit ?? "");
    }
}

/** The response time in ms below which a percentile is to stay over the whole run, for the line in a chart. */
export function timeLimit(threshold: ThresholdResult): number | null {
    const { metric, percentile, comparison, window_seconds, limit } = threshold;
    const isUpper = comparison === "<" || comparison === "<=";
    return metric === "latency" && percentile !== null && isUpper && window_seconds === null ? limit : null;
}

/** Whether all thresholds on one figure hold, by its name: `p99` of the response time, `rps`; endpoints are left out. */
export function passedByName(thresholds: readonly ThresholdResult[]): Record<string, boolean> {
    const passed: Record<string, boolean> = {};
    const ofAll = thresholds.filter((each) => !each.endpoint && !each.scenario && !each.check && !each.own_metric);
    for (const each of ofAll) {
        const part = each.percentile === null ? each.statistic : `p${each.percentile}`;
        const name = [each.metric === "latency" ? null : each.metric, part].filter(Boolean).join(" ");
        passed[name] = (passed[name] ?? true) && each.passed;
    }
    return passed;
}

const isUpper = ({ comparison }: ThresholdResult): boolean => comparison === "<" || comparison === "<=";

/** How far from the limit: `56 % below the limit`, `1.3 × the limit`. */
export function distance(threshold: ThresholdResult): string {
    const actual = numeric(threshold.actual);
    if (actual === null || threshold.margin === null || !Number.isFinite(actual)) return "";
    if (threshold.passed)
        return threshold.margin
            ? `${percent(threshold.margin)} ${isUpper(threshold) ? "below" : "above"} the limit`
            : "exactly at the limit";
    if (!threshold.limit) return "";
    if (actual < threshold.limit) return `${percent(-threshold.margin)} below the limit`;
    return `${multiple(actual / threshold.limit)} the limit`;
}

/** `checkout: p99 < 800 ms`. */
export function named(threshold: ThresholdResult): string {
    const { endpoint, expression } = threshold;
    return endpoint && !expression.startsWith(`${endpoint}:`) ? `${endpoint}: ${expression}` : expression;
}

export const MEASUREMENT_WORDS = {
    valid: "valid: the load generator was not the limit",
    suspect: "suspect: the load generator may have been the limit",
    invalid: "invalid: do not rely on these times",
} as const;

export interface Judgement {
    thresholds: ThresholdResult[];
    measurement: keyof typeof MEASUREMENT_WORDS | null;
    reasons: Pick<MeasurementReason, "what" | "hint">[];
    /** The run is in progress: the judgement may still change. */
    soFar: boolean;
}

/** How a run stands: from its result when there is one, from the stream until then. */
export function judgement(run: RunView, result: RunResult | null, live: SoFar | null): Judgement {
    if (result) {
        const { measurement, reasons } = result.verdict;
        return { thresholds: result.thresholds, measurement, reasons, soFar: false };
    }
    const reason = live?.reason ? [{ what: live.reason, hint: "" }] : [];
    return {
        thresholds: live?.thresholds ?? [],
        measurement: live?.measurement ?? run.measurement,
        reasons: reason,
        soFar: run.status === "running",
    };
}

/** A threshold that this run would pass, with ten percent to spare: `p99 < 145 ms`. */
export function proposal(p99: number | "Infinity" | null | undefined): string {
    const value = numeric(p99);
    if (value === null || !Number.isFinite(value) || value <= 0) return "error_rate < 1%";
    const limit = Number((value * 1.1).toPrecision(value * 1.1 >= 10 ? 3 : 2));
    return limit >= 1000 ? `p99 < ${limit / 1000}s` : `p99 < ${limit}ms`;
}
