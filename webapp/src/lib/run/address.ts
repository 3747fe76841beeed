// All choices on a run's page, as its address keeps them: the link shows the same page to every user. Pure.
import type { ScaleChoice } from "./plots";
import type { Window } from "./model.svelte";
import type { TimeKind } from "$lib/state/seconds";

export const FIGURES = ["p50", "p95", "p99", "max"] as const;
export type FigureName = (typeof FIGURES)[number];

export interface RunAddress {
    window: Window | null;
    endpoint: string | null;
    kind: TimeKind;
    scale: ScaleChoice;
    /** Of the endpoints over each other. */
    figure: FigureName;
    spread: "heat" | "histogram";
    /** Of failures and samples: a kind of failure, and why a sample was recorded. */
    outcome: string;
    reason: string;
    /** The number of the request that is open. */
    request: number | null;
}

export const DEFAULTS: RunAddress = {
    window: null,
    endpoint: null,
    kind: "response",
    scale: "auto",
    figure: "p95",
    spread: "heat",
    outcome: "",
    reason: "",
    request: null,
};

const MOST_SECONDS = 1e7;

/** What is not known, or not sensible, is as if it were not there. */
export function addressOf(parameters: URLSearchParams): RunAddress {
    const read = <Value extends string>(name: string, known: readonly Value[], fallback: Value): Value =>
        known.find((each) => each === parameters.get(name)) ?? fallback;
    const request = Number(parameters.get("request") ?? NaN);
    return {
        window: windowOf(parameters.get("window")),
        endpoint: parameters.get("endpoint"),
        kind: read("time", ["response", "service", "first_byte"], DEFAULTS.kind),
        scale: read("scale", ["auto", "linear", "log"], DEFAULTS.scale),
        figure: read("figure", FIGURES, DEFAULTS.figure),
        spread: read("spread", ["heat", "histogram"], DEFAULTS.spread),
        outcome: parameters.get("outcome") ?? "",
        reason: read("reason", ["", "first", "failure", "slowest"], DEFAULTS.reason),
        request: Number.isSafeInteger(request) && request >= 0 ? request : null,
    };
}

/** The parameters of it; what is as always is left out. Others of the page stay. */
export function parametersOf(address: RunAddress, others: URLSearchParams): URLSearchParams {
    const { window } = address;
    const written: Record<string, string | null> = {
        window: window && `${window.start}-${window.end}`,
        endpoint: address.endpoint,
        time: address.kind === DEFAULTS.kind ? null : address.kind,
        scale: address.scale === DEFAULTS.scale ? null : address.scale,
        figure: address.figure === DEFAULTS.figure ? null : address.figure,
        spread: address.spread === DEFAULTS.spread ? null : address.spread,
        outcome: address.outcome || null,
        reason: address.reason || null,
        request: address.request === null ? null : String(address.request),
    };
    const parameters = new URLSearchParams(others);
    for (const [name, value] of Object.entries(written)) {
        if (value === null) parameters.delete(name);
        else parameters.set(name, value);
    }
    return parameters;
}

function windowOf(text: string | null): Window | null {
    const [start, end] = (text ?? "").split("-").map(Number);
    if (!(start !== undefined && end !== undefined && start >= 0 && end > start && end < MOST_SECONDS)) return null;
    // Intervals are whole seconds.
    return { start: Math.floor(start), end: Math.ceil(end) };
}
