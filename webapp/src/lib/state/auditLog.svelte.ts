// The audit log as its page lists it: what the address asks for, page by page.
import { api, ApiProblem } from "$lib/api/client";
import type { AuditEntryView } from "$lib/api/schema";

import { instantOf, momentOf } from "./when";

export interface AuditFilter {
    actor: string;
    /** One action, or with a dot at its end all of an object: `run.`. */
    action: string;
    outcome: string;
    /** Days or times, as the address has them; only what can be read. */
    since: string;
    until: string;
}

export const ACTIONS: readonly { value: string; label: string }[] = [
    { value: "", label: "All actions" },
    { value: "run.", label: "Runs" },
    { value: "test.", label: "Tests" },
    { value: "schedule.", label: "Schedules" },
    { value: "key.", label: "Keys" },
    { value: "session.", label: "Sessions" },
    { value: "spec.", label: "Dry runs" },
    { value: "storage.", label: "Storage" },
    { value: "request.", label: "Refused requests" },
];

export const OUTCOMES: readonly { value: string; label: string }[] = [
    { value: "", label: "Any outcome" },
    { value: "done", label: "Done" },
    { value: "refused", label: "Refused" },
    { value: "failed", label: "Failed" },
];

export const ACTORS: Record<string, string> = {
    key: "key",
    session: "browser session",
    local: "local account",
    shell: "command line",
    schedule: "schedule",
    server: "server",
};

export function auditFilterOf(parameters: URLSearchParams): AuditFilter {
    const read = (name: string): string => parameters.get(name) ?? "";
    const date = (name: string): string => (momentOf(read(name), true) ? read(name) : "");
    const outcome = OUTCOMES.some(({ value }) => value === read("outcome")) ? read("outcome") : "";
    return { actor: read("actor"), action: read("action"), outcome, since: date("since"), until: date("until") };
}

export function auditQueryOf(filter: AuditFilter, utc: boolean): Record<string, string | undefined> {
    const [since, until] = [momentOf(filter.since, utc), momentOf(filter.until, utc)];
    return {
        actor: filter.actor || undefined,
        action: filter.action || undefined,
        outcome: filter.outcome || undefined,
        since: since ? instantOf(since, utc).toISOString() : undefined,
        until: until ? instantOf(until, utc, true).toISOString() : undefined,
    };
}

/** The page of the dashboard that shows the object of an entry; null where there is none. */
export function objectPath({ object_kind, object_id }: AuditEntryView): string | null {
    const id = encodeURIComponent(object_id);
    if (!object_id) return null;
    if (object_kind === "run") return `/runs/${id}`;
    if (object_kind === "test") return `/edit/${id}?test`;
    return object_kind === "schedule" ? "/schedules" : null;
}

export class AuditLog {
    entries = $state.raw<AuditEntryView[] | null>(null);
    problem = $state.raw<ApiProblem | null>(null);
    isReading = $state(false);
    /** Where the next page begins; null on the last one. */
    next = $state<string | null>(null);
    #query: Record<string, string | undefined> = {};
    /** What is read now: the next question ends it, and its answer counts no more. */
    #reading = new AbortController();

    async open(query: Record<string, string | undefined>): Promise<void> {
        this.#query = query;
        await this.#read(null);
    }

    async more(): Promise<void> {
        if (this.next) await this.#read(this.next);
    }

    close(): void {
        this.#reading.abort();
    }

    async #read(cursor: string | null): Promise<void> {
        this.#reading.abort();
        const reading = (this.#reading = new AbortController());
        this.isReading = true;
        try {
            const answer = await api.audit({ ...this.#query, cursor }, reading.signal);
            if (reading.signal.aborted) return;
            this.entries = cursor ? [...(this.entries ?? []), ...answer.entries] : answer.entries;
            this.next = answer.next;
            this.problem = null;
        } catch (error) {
            if (reading.signal.aborted) return;
            if (!(error instanceof ApiProblem)) throw error;
            if (!cursor) this.entries = null;
            this.problem = error;
        } finally {
            if (reading === this.#reading) this.isReading = false;
        }
    }
}
