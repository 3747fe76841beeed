// What people do with a spec that they write: try it, keep it, run it. The same for a new one and for one that is edited.
import { api, ApiProblem } from "$lib/api/client";
import type { TryAnswer } from "$lib/api/schema";
import { named } from "$lib/spec/fields";
import type { Spec } from "$lib/spec/spec";

import { focusField, type SpecEditor } from "./editor.svelte";
import { settled } from "./press.svelte";
import { toasts } from "./toasts.svelte";

export type Act = "try" | "save" | "start";

export class SpecActions {
    readonly #editor: SpecEditor;
    /** What is being done now; empty: nothing. */
    busy = $state<Act | "">("");
    /** What a try came to, or why it came to nothing. */
    trial = $state.raw<TryAnswer | null>(null);
    /** Steps of the plan that the trial did not come to. */
    unreached = $state.raw<string[]>([]);
    tried = $state.raw<ApiProblem | null>(null);

    readonly #test: () => string;

    /** `test` is the stored test whose files the spec may name. */
    constructor(editor: SpecEditor, test: () => string = () => "") {
        this.#editor = editor;
        this.#test = test;
    }

    /** Does it with a spec that the server finds valid, or saves one that lacks only files; else leads to the first problem. */
    async act(what: Act, doing: (spec: Spec) => Promise<void>): Promise<void> {
        const editor = this.#editor;
        this.busy = what;
        try {
            editor.attempted = true;
            if (!(await editor.check()) && !(what === "save" && editor.lacksOnlyFiles)) {
                const [first] = editor.all;
                if (editor.away) toasts.say(editor.away, { kind: "fail" });
                else if (first && !editor.textProblem) focusField(first.path);
                return;
            }
            await doing(named(editor.spec));
        } catch (error) {
            if (!(error instanceof ApiProblem)) throw error;
            if (error.status === 422 || error.code === "name_taken") {
                editor.refused(error.errors);
                const [first] = editor.all;
                if (first) focusField(first.path);
            }
            toasts.fail(error);
        } finally {
            this.busy = "";
        }
    }

    tryOnce = (): Promise<void> =>
        this.act("try", async (spec) => {
            this.forget();
            try {
                const endpoints = this.#editor.plan?.endpoints ?? [];
                const trial = await api.tryOnce(spec, this.#test());
                const reached = new Set(trial.exchanges.map((exchange) => exchange.endpoint));
                this.#answered(() => {
                    this.trial = trial;
                    this.unreached = endpoints.filter((name) => !reached.has(name));
                });
            } catch (error) {
                if (!(error instanceof ApiProblem)) throw error;
                this.#answered(() => (this.tried = error));
            }
        });

    #answered(put: () => void): void {
        settled(() => {
            put();
            requestAnimationFrame(() => document.getElementById("answer")?.scrollIntoView({ block: "nearest" }));
        });
    }

    forget = (): void => {
        this.tried = this.trial = null;
        this.unreached = [];
    };
}
