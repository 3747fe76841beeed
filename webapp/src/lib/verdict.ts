// What a run came to, in one word, one colour and one sign.
import type { RunSummaryView } from "$lib/api/schema";
import type { IconName } from "$lib/components/Icon.svelte";

export type Tone = "pass" | "fail" | "warn" | "info" | "muted";

export interface Judged {
    word: string;
    tone: Tone;
    icon: IconName;
}

type Judgeable = Pick<RunSummaryView, "status" | "passed" | "measurement"> & {
    error_rate?: RunSummaryView["error_rate"];
    stop_reason?: RunSummaryView["stop_reason"];
};

export function verdictOf(run: Judgeable): Judged {
    switch (run.status) {
        case "pending":
            return { word: "Waiting", tone: "muted", icon: "clock" };
        case "running":
            return { word: "Running", tone: "info", icon: "play" };
        case "cancelled":
            return { word: "Cancelled", tone: "muted", icon: "stop" };
        case "failed":
            return { word: "Broke off", tone: "fail", icon: "cross" };
        case "completed":
            if (run.measurement === "invalid") return { word: "Invalid", tone: "fail", icon: "warn" };
            if (run.passed === false) return { word: "Failed", tone: "fail", icon: "cross" };
            // Nothing was asked of it, and nothing came back either.
            if (run.error_rate === 1) return { word: "All failed", tone: "fail", icon: "cross" };
            // Somebody ended it before its time: what it had not done yet was not judged.
            if (run.stop_reason === "stopped") return { word: "Stopped", tone: "muted", icon: "stop" };
            if (run.passed === null) return { word: "Not judged", tone: "muted", icon: "dash" };
            return { word: "Passed", tone: "pass", icon: "check" };
    }
}

export const TONE_TEXT: Record<Tone, string> = {
    pass: "text-pass",
    fail: "text-fail",
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
