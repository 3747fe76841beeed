import { SvelteSet } from "svelte/reactivity";

import type { ErrorEntry, LoadView, PlanView, ValidateAnswer } from "$lib/api/schema";
import { parse, patched, render, type Format, type TextProblem } from "$lib/spec/document";
import type { Omitted } from "$lib/spec/fields";
import { get, pathText, set, type Path } from "$lib/spec/paths";
import {
    fieldOf,
    missingNames,
    problemsAt,
    problemsOf,
    problemsWithin,
    together,
    visible,
    type SpecProblem,
} from "$lib/spec/problems";
import type { Columns } from "$lib/spec/scenarios";
import type { Spec } from "$lib/spec/spec";

import { stillOmitted } from "./draft";
import { held } from "./press.svelte";

const WAIT_MS = 300;

type Validate = (spec: Spec, signal: AbortSignal) => Promise<ValidateAnswer>;

/**
 * A spec that is being written: one piece of data, which the form and the text both show and change. The server says
 * what is wrong with it, shortly after each change.
 */
interface Answered {
    plan: PlanView | null;
    load: LoadView | null;
    notes: ErrorEntry[];
    unchecked: string;
}

export class SpecEditor {
    spec = $state.raw<Spec>({});
    format = $state<Format>("yaml");
    text = $state("");
    textProblem = $state.raw<TextProblem | null>(null);
    /** After an attempt to start or save, and in the text, everything that is wrong shows. */
    attempted = $state(false);
    left = new SvelteSet<string>();
    /** Columns of test data by the name of its source, as they were read from its file. */
    columns = $state.raw<Columns>({});
    #found = $state.raw<SpecProblem[]>([]);
    #answer = $state.raw<Answered>({
        plan: null,
        load: null,
        notes: [],
        unchecked: "",
    });
    /** Fields whose content cannot be put into the spec yet. */
    #own = $state.raw<Record<string, SpecProblem>>({});
    #validate: Validate;
    #asking: AbortController | null = null;
    #checking: Promise<boolean> = Promise.resolve(false);
    #timer: ReturnType<typeof setTimeout> | undefined;

    #omitted = $state.raw<readonly Omitted[]>([]);
    /** Secrets that the restored draft does not hold and that were not entered again. */
    needed = $derived(stillOmitted(this.spec, this.#omitted));
    #neededAgain = $derived(this.needed.map(neededAgain));

    all = $derived<SpecProblem[]>([
        ...this.#neededAgain,
        ...Object.values(this.#own),
        ...this.#found.filter(
            (each) => !this.#neededAgain.some((needed) => fieldOf(needed.path) === fieldOf(each.path)),
        ),
    ]);
    /** What the page shows of the answer: it changes only while the pointer is not pressed. */
    readonly #shown = held(() => ({
        problems: visible(this.all, this.left, this.attempted || this.needed.length > 0),
        textProblem: this.textProblem,
        ...this.#answer,
    }));

    constructor(validate: Validate) {
        this.#validate = validate;
    }

    /** Begin with another spec; `omitted` are secrets that have to be entered again before it can be run. */
    load(spec: Spec, omitted: readonly Omitted[] = []): void {
        this.#omitted = omitted;
        this.left.clear();
        this.attempted = false;
        this.#own = {};
        this.replace(spec);
        this.text = render(this.spec, this.format);
    }

    get shown(): SpecProblem[] {
        return this.#shown().problems;
    }

    get shownTextProblem(): TextProblem | null {
        return this.#shown().textProblem;
    }

    get plan(): PlanView | null {
        return this.#shown().plan;
    }

    /** The load as the server reads it, whatever else is wrong with the spec. */
    get planned(): LoadView | null {
        return this.#answer.load;
    }

    get notes(): ErrorEntry[] {
        return this.#shown().notes;
    }

    /** Why the server could not check the spec; empty: it did. */
    get unchecked(): string {
        return this.#shown().unchecked;
    }

    /** Why the last question did not reach the server, as it is now. */
    get away(): string {
        return this.#answer.unchecked;
    }

    get(path: Path): unknown {
        return get(this.spec, path);
    }

    /** Put a value there; undefined takes it away. */
    set(path: Path, value: unknown): void {
        this.replace(set(this.spec, path, value));
    }

    replace(spec: Spec): void {
        this.spec = spec;
        this.text = this.textProblem ? render(spec, this.format) : patched(this.text, spec, this.format);
        this.textProblem = null;
        this.#later();
    }

    /** What was typed as text; while it cannot be read the form keeps what it had. */
    type(text: string): void {
        this.text = text;
        this.attempted = true;
        const { spec, problem } = parse(text);
        this.textProblem = problem;
        if (!spec) return;
        this.spec = spec;
        this.#own = {};
        this.#later();
    }

    show(format: Format): void {
        if (this.format === format) return;
        this.format = format;
        if (!this.textProblem) this.text = render(this.spec, format);
    }

    /** A field says that what stands in it cannot be read; null: it can. */
    own(path: Path, problem: { message: string; hint?: string } | null): void {
        const { [pathText(path)]: _known, ...rest } = this.#own;
        if (!problem && !_known) return;
        this.#own = problem
            ? { ...rest, [pathText(path)]: { path, where: pathText(path), code: "unreadable", hint: "", ...problem } }
            : rest;
    }

    leave(path: Path): void {
        const field = fieldOf(path);
        if (field) this.left.add(field);
        if (this.#timer !== undefined) void this.check();
    }

    at(path: Path): SpecProblem | undefined {
        return together(problemsAt(this.shown, fieldOf(path)));
    }

    /** The `{{names}}` that are used there, or within, and defined nowhere. */
    missing(path: Path): string[] {
        return missingNames(this.within(path));
    }

    within(path: Path): SpecProblem[] {
        return problemsWithin(this.shown, fieldOf(path));
    }

    #later(): void {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => void this.check(), WAIT_MS);
    }

    /** Ask the server now; whether the spec can be run. A later question takes this one's place, and answers it too. */
    check(): Promise<boolean> {
        this.#checking = this.#check();
        return this.#checking;
    }

    async #check(): Promise<boolean> {
        clearTimeout(this.#timer);
        this.#timer = undefined;
        this.#asking?.abort();
        const asking = new AbortController();
        this.#asking = asking;
        const { spec } = this;
        try {
            const answer = await this.#validate(spec, asking.signal);
            if (asking.signal.aborted) return this.#asking === asking ? false : this.#checking;
            this.#found = problemsOf(answer.errors, spec);
            this.#answer = { plan: answer.plan, load: answer.load, notes: answer.notes, unchecked: "" };
            return answer.valid && !this.textProblem && !this.needed.length && Object.keys(this.#own).length === 0;
        } catch (error) {
            if (asking.signal.aborted) return this.#asking === asking ? false : this.#checking;
            // What was found before may long be mended.
            this.#found = [];
            this.#answer = { ...this.#answer, unchecked: error instanceof Error ? error.message : String(error) };
            return false;
        }
    }

    /** What the server said when it refused to start or keep the spec. */
    refused(errors: readonly ErrorEntry[]): void {
        this.attempted = true;
        // That a name is taken is known only when it is kept, and belongs at the name.
        const placed = errors.map((error) => (error.code === "name_taken" ? { ...error, path: "name" } : error));
        this.#found = problemsOf(placed, this.spec);
    }

    /** Whether nothing is wrong but that files are not uploaded yet, without which a test can be saved. */
    get lacksOnlyFiles(): boolean {
        const codes = new Set(["file_missing", "file_not_allowed"]);
        return !this.textProblem && !this.away && this.all.length > 0 && this.all.every(({ code }) => codes.has(code));
    }

    stop(): void {
        clearTimeout(this.#timer);
        this.#asking?.abort();
    }
}

function neededAgain({ path }: Omitted): SpecProblem {
    const isUrl = /^(url|token_url|proxy)$/.test(String(path.at(-1)));
    return {
        path,
        where: pathText(path),
        code: "credentials_needed",
        message: isUrl
            ? "the credentials in this URL were not saved with the draft"
            : "this secret was not saved with the draft",
        hint: "Enter it again, or use `{{env:NAME}}`",
    };
}

/** Brings the field of a problem into view, and the cursor into it; opens what it is folded away in. */
export function focusField(path: Path): boolean {
    const controls = [...document.querySelectorAll<HTMLElement>("[data-path]")];
    const wanted = fieldOf(path);
    const near = controls
        .map((control) => ({ control, own: control.dataset.path ?? "" }))
        .filter(
            ({ own }) =>
                own === wanted ||
                wanted.startsWith(`${own}.`) ||
                wanted.startsWith(`${own}[`) ||
                own.startsWith(`${wanted}.`),
        )
        .toSorted((a, b) => closeness(b.own, wanted) - closeness(a.own, wanted))[0]?.control;
    if (!near) return false;
    for (let fold = near.closest("details"); fold; fold = fold.parentElement?.closest("details") ?? null)
        fold.open = true;
    near.focus();
    near.scrollIntoView({ block: "center" });
    return true;
}

function closeness(own: string, wanted: string): number {
    return own === wanted ? Infinity : wanted.startsWith(own) ? own.length : -own.length;
}
