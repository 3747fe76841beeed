// What a run came to, in one word, one colour and one sign.
import type { RunSummaryView } from "$lib/api/schema";
import type { IconName } from "$lib/components/Icon.svelte";

export type Tone = "pass" | "fail" | "error" | "warn" | "info" | "muted";

export interface Judged {
    word: string;
    tone: Tone;
    icon: IconName;
}

type Judgeable = Pick<RunSummaryView, "outcome">;

/** The table of docs/reference/run-outcomes.json, which a test holds it to. */
export const OUTCOMES: Record<RunSummaryView["outcome"], Judged> = {
    queued: { word: "Queued", tone: "muted", icon: "clock" },
    running: { word: "Running", tone: "info", icon: "play" },
    passed: { word: "Passed", tone: "pass", icon: "check" },
    failed: { word: "Failed", tone: "fail", icon: "cross" },
    invalid: { word: "Invalid", tone: "warn", icon: "warn" },
    stopped: { word: "Stopped", tone: "muted", icon: "stop" },
    cancelled: { word: "Cancelled", tone: "muted", icon: "stop" },
    error: { word: "Error", tone: "error", icon: "cross" },
};

export function verdictOf(run: Judgeable): Judged {
    return OUTCOMES[run.outcome];
}

export const TONE_TEXT: Record<Tone, string> = {
    pass: "text-pass",
    fail: "text-fail",
    error: "text-fail",
    warn: "text-warn",
    info: "text-info",
    muted: "text-muted",
};

const WORDS: Record<string, string> = {
    unexpected_status: "unexpected status",
    check_failed: "check failed",
    timeout: "timeout",
    dns_error: "host not found",
    connect_error: "connection failed",
    tls_error: "TLS error",
    connection_closed: "connection closed",
    protocol_error: "invalid HTTP",
    response_too_large: "response too large",
    generator_error: "generator error",
    unfinished: "unfinished",
    ok: "ok",
};

/** An outcome in words. */
export function outcomeWords(outcome: string): string {
    return WORDS[outcome] ?? outcome.replaceAll("_", " ");
}

/** The outcomes that are failures of the target, in the order in which charts stack them. */
export const FAILURE_KINDS = [
    "unexpected_status",
    "check_failed",
    "timeout",
    "connection_closed",
    "connect_error",
    "dns_error",
    "tls_error",
    "protocol_error",
    "response_too_large",
] as const;
