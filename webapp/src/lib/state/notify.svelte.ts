// A notification of the browser when a run ends, for users who enabled it by a click: from any page of this tab.
import { SvelteSet } from "svelte/reactivity";

import { address } from "$lib/api/client";
import type { ListChange, RunSummaryView } from "$lib/api/schema";
import { openStream } from "$lib/api/stream";
import { shown, share, time } from "$lib/format";
import { below } from "$lib/place";
import { verdictOf } from "$lib/verdict";

import { toasts } from "./toasts.svelte";

const FINAL = new Set(["completed", "cancelled", "failed"]);

class Notifier {
    readonly waiting = new SvelteSet<string>();
    #close: (() => void) | null = null;

    /** Asks the browser for leave where it has none yet, and waits for the end of the run. */
    async ask(run: Pick<RunSummaryView, "id" | "name">): Promise<void> {
        if (!("Notification" in window)) {
            toasts.say("This browser has no notifications", { kind: "fail" });
            return;
        }
        if ((await Notification.requestPermission()) !== "granted") {
            toasts.say("Notifications are blocked for this page", {
                kind: "fail",
                hint: "Allow them in the settings of the browser",
            });
            return;
        }
        this.waiting.add(run.id);
        toasts.say(`You will be notified when “${run.name}” ends, as long as this tab is open`);
        this.#close ??= openStream({
            url: () => address("/events"),
            events: ["run"],
            onEvent: (_, data) => this.#take((JSON.parse(data) as ListChange).run),
        });
    }

    #take(run: RunSummaryView | null): void {
        if (!run || !FINAL.has(run.status) || !this.waiting.delete(run.id)) return;
        const figures = [`p95 ${time(run.latency_p95_ms)}`, `${share(run.error_rate)} failed`].join(" · ");
        const note = new Notification(`${verdictOf(run).word}: ${run.name}`, { body: shown(figures), tag: run.id });
        note.onclick = () => {
            window.focus();
            location.assign(below(`/runs/${run.id}`));
        };
        if (this.waiting.size) return;
        this.#close?.();
        this.#close = null;
    }
}

export const notifier = new Notifier();
