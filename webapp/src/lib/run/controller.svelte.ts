// What people do on the page of a run: choose what it shows (which its address keeps), end it, run it again.
import { untrack } from "svelte";

import { goto } from "$app/navigation";
import { page } from "$app/state";
import { address, api, ApiProblem } from "$lib/api/client";
import type { SampledExchange } from "$lib/api/schema";
import type { MenuItem } from "$lib/components/Menu.svelte";
import { clock } from "$lib/format";
import { below } from "$lib/place";
import { notifier } from "$lib/state/notify.svelte";
import type { TimeKind } from "$lib/state/seconds";
import { toasts } from "$lib/state/toasts.svelte";

import { addressOf, type FigureName, parametersOf, type RunAddress } from "./address";
import { csvOf, save } from "./files";
import { RunModel, type Window } from "./model.svelte";
import type { ScaleChoice } from "./plots";

export interface SampleFilter {
    text: string;
    /** From the heat map: one of its cells. */
    cell: { start: number; end: number; low: number; high: number } | null;
}

/** During a run, samples come by the dozen: they are read at most once in this time. */
const SAMPLES_EVERY_MS = 1000;

const REPORTS = [
    ["PDF", "pdf"],
    ["HTML", "html"],
    ["Markdown", "md"],
] as const;

export class RunController {
    readonly model: RunModel;
    scale = $state<ScaleChoice>("auto");
    figure = $state<FigureName>("p95");
    spread = $state<RunAddress["spread"]>("heat");
    outcome = $state("");
    reason = $state("");
    request = $state<number | null>(null);
    filter = $state.raw<SampleFilter>({ text: "", cell: null });
    /** Seconds of the run under the pointer, in whichever chart over time. */
    hover = $state<number | null>(null);
    samples = $state.raw<SampledExchange[] | null>(null);
    compareTo = $state<string | null>(null);
    cancelling = $state(false);
    #readWindow: Window | null = null;
    #written = "";

    constructor(id: string, parameters: URLSearchParams) {
        this.model = new RunModel(id);
        this.#take(addressOf(parameters));
        this.#written = parameters.toString();
    }

    #take(chosen: RunAddress): void {
        this.model.window = chosen.window;
        this.model.endpoint = chosen.endpoint;
        this.model.kind = chosen.kind;
        this.scale = chosen.scale;
        this.figure = chosen.figure;
        this.spread = chosen.spread;
        this.outcome = chosen.outcome;
        this.reason = chosen.reason;
        this.request = chosen.request;
    }

    /** Runs the effects of the page; to be called while a component is set up. */
    watch(): void {
        $effect(() => untrack(() => this.model.open()));
        $effect(() => this.#keepAddress());
        $effect(() => this.#followAddress());
        $effect(() => this.#readSamplesLater());
        $effect(() => this.#findBaseline());
    }

    #keepAddress(): void {
        const { window, endpoint, kind } = this.model;
        const { scale, figure, spread, outcome, reason, request } = this;
        const chosen: RunAddress = { window, endpoint, kind, scale, figure, spread, outcome, reason, request };
        untrack(() => {
            const text = parametersOf(chosen, page.url.searchParams).toString();
            if (text === this.#written || text === page.url.searchParams.toString()) return;
            this.#written = text;
            const options = { replaceState: true, keepFocus: true, noScroll: true };
            void goto(text ? `?${text}` : page.url.pathname, options);
        });
    }

    /** A link may lead to another view of the same run. */
    #followAddress(): void {
        const text = page.url.searchParams.toString();
        if (page.params.id !== this.model.id || text === untrack(() => this.#written)) return;
        untrack(() => {
            this.#written = text;
            this.#take(addressOf(page.url.searchParams));
            void this.model.reread();
        });
    }

    #readSamplesLater(): (() => void) | undefined {
        const { window, samplesKept, run } = this.model;
        void samplesKept;
        if (!run) return;
        // Another window is read at once.
        const isRead = untrack(() => this.samples) !== null && this.#readWindow === window;
        const wait = setTimeout(() => void this.#readSamples(window), isRead ? SAMPLES_EVERY_MS : 0);
        return () => clearTimeout(wait);
    }

    async #readSamples(window: Window | null): Promise<void> {
        try {
            const found = await api.samples(this.model.id, window ?? {});
            if (window !== this.model.window) return;
            this.samples = found;
            this.#readWindow = window;
        } catch (error) {
            if (!(error instanceof ApiProblem)) throw error;
            this.model.problem ??= error;
        }
    }

    #findBaseline(): void {
        const name = this.model.run?.name;
        const until = this.model.run?.created_at;
        if (!name || !until) return;
        api.runs({ name, until, status: "completed", limit: 1 }).then(
            (found) => (this.compareTo = found.runs[0]?.id ?? null),
            (error: unknown) => {
                if (!(error instanceof ApiProblem)) throw error; // without it there is only no button
            },
        );
    }

    chooseWindow = (window: Window | null): void => {
        this.model.window = window;
        void this.model.reread();
    };

    chooseEndpoint = (name: string | null): void => {
        this.model.endpoint = name;
        void this.model.reread();
    };

    chooseKind = (kind: TimeKind): void => {
        this.model.kind = kind;
        if (this.model.isLive) void this.model.reread();
    };

    showFailures = (outcome: string): void => {
        this.outcome = outcome;
        show("failures");
    };

    showSample = (number: number): void => {
        this.request = number;
        show("requests");
    };

    showCell = (start: number, end: number, low: number, high: number): void => {
        this.filter = { ...this.filter, cell: { start, end, low, high } };
        show("requests");
    };

    clearFilters = (): void => {
        this.outcome = this.reason = "";
        this.filter = { text: "", cell: null };
    };

    cancel = async (graceful = false): Promise<void> => {
        this.cancelling = true;
        try {
            await api.cancel(this.model.id, graceful);
            toasts.say(graceful ? "Stopping: no new requests, those in flight may finish" : "Stopping…");
        } catch (error) {
            this.cancelling = false;
            toasts.fail(error);
        }
    };

    rerun = async (): Promise<void> => {
        try {
            const { id } = await api.rerun(this.model.id);
            await goto(below(`/runs/${id}`));
            toasts.say("Run started");
        } catch (error) {
            toasts.fail(error);
        }
    };

    remove = (): void => {
        const { id } = this.model;
        void goto(below("/")).then(() =>
            toasts.undoable({
                text: "Run deleted",
                undo: () => void goto(below(`/runs/${id}`)),
                commit: (leaving) => api.deleteRun(id, leaving),
            }),
        );
    };

    copyLink = (): void =>
        void navigator.clipboard.writeText(location.href).then(() => toasts.say("Link copied"), toasts.fail);

    /** The seconds of the window that is chosen, as CSV. */
    #saveCsv = (): void => {
        const { window, drawn, endpoint, id } = this.model;
        const rows = window ? drawn.filter((each) => each.start >= window.start && each.start < window.end) : drawn;
        const parts = [id, endpoint?.replace(/[^\w.-]+/g, "_"), window && `${window.start}-${window.end}s`];
        save(`${parts.filter(Boolean).join("-")}.csv`, "text/csv", csvOf(rows));
    };

    readonly menu = $derived.by((): MenuItem[] => {
        const { run, isLive, isFinal, result, drawn, window, endpoint } = this.model;
        if (!run) return [];
        const of = [window && `${clock(window.start)} to ${clock(window.end)}`, endpoint].filter(Boolean).join(", ");
        return [
            ...(isLive
                ? [
                      {
                          label: "Stop, let requests finish",
                          icon: "stop" as const,
                          changes: true,
                          onclick: () => void this.cancel(true),
                      },
                      { label: "Notify me when it ends", icon: "bell" as const, onclick: () => void notifier.ask(run) },
                  ]
                : []),
            { label: "Copy link to this view", icon: "link", onclick: this.copyLink },
            { label: "Print this page", icon: "print", onclick: () => print() },
            ...(result
                ? [
                      ...REPORTS.map(([name, suffix]) => ({
                          label: `Save report as ${name}`,
                          icon: "save" as const,
                          href: address(`/runs/${run.id}/report.${suffix}`),
                          download: `${run.id}.${suffix}`,
                      })),
                      {
                          label: "Export whole run as JSON",
                          icon: "save" as const,
                          href: address(`/runs/${run.id}/result`),
                          download: `${run.id}.json`,
                      },
                  ]
                : []),
            ...(drawn.length
                ? [
                      {
                          label: of ? `Export CSV (${of})` : "Export time series as CSV",
                          icon: "save" as const,
                          onclick: this.#saveCsv,
                      },
                  ]
                : []),
            ...(isFinal
                ? [
                      {
                          label: "Export as bundle",
                          icon: "save" as const,
                          href: address(`/runs/${run.id}/bundle`),
                          download: "",
                      },
                      { label: "Delete", icon: "trash" as const, fail: true, changes: true, onclick: this.remove },
                  ]
                : []),
        ];
    });
}

function show(id: string): void {
    document.getElementById(id)?.scrollIntoView({ block: "start" });
}
