// What the validator finds, at the field that it is about. Pure.
import type { ErrorEntry } from "$lib/api/schema";

import { parsePath, pathText, type Path } from "./paths";

export interface SpecProblem {
    path: Path;
    /** The path as the validator wrote it, for the list. */
    where: string;
    message: string;
    hint: string;
    code: string;
}

export function problemsOf(errors: readonly ErrorEntry[], spec: unknown): SpecProblem[] {
    return errors.map((error) => ({
        path: placeOf(error, spec),
        where: (error.path ?? "").replace(/^(?:body\.)?spec\./, ""),
        message: error.message,
        hint: error.hint ?? "",
        code: error.code,
    }));
}

/** Where a problem is shown: that there is nothing to ask has no place of its own, and belongs at the URL. */
function placeOf(error: ErrorEntry, spec: unknown): Path {
    const path = parsePath(error.path ?? "", spec);
    return error.code === "no_url" ? ["url"] : path;
}

/** One name for each field: `timeout_seconds` is `timeout`, and flat load fields are those of `load`. */
export function fieldOf(path: Path): string {
    const text = pathText(
        path.map((part) => (typeof part === "string" ? part.replace(/_seconds$/, "") || part : part)),
    );
    return SAME[text] ?? text;
}

const SAME: Record<string, string> = {
    requests_per_second: "load.rate",
    concurrency: "load.users",
    "load.requests_per_second": "load.rate",
    "load.concurrency": "load.users",
};

/** Whether `path` is `field` or lies in it. */
export function isWithin(path: Path, field: string): boolean {
    const own = fieldOf(path);
    return field === "" || own === field || own.startsWith(`${field}.`) || own.startsWith(`${field}[`);
}

export function problemsAt(problems: readonly SpecProblem[], field: string): SpecProblem[] {
    return problems.filter((problem) => fieldOf(problem.path) === field);
}

export function problemsWithin(problems: readonly SpecProblem[], field: string): SpecProblem[] {
    return problems.filter((problem) => isWithin(problem.path, field));
}

/** Several problems of one field as one, for the one place that it has to tell them. */
export function together(problems: readonly SpecProblem[]): SpecProblem | undefined {
    const [first, ...more] = problems;
    if (!first || !more.length) return first;
    const joined = (read: (problem: SpecProblem) => string, by: string): string =>
        [...new Set(problems.map(read).filter(Boolean))].join(by);
    return { ...first, message: joined((each) => each.message, "; "), hint: joined((each) => each.hint, ". ") };
}

/** Problems of fields that were left, or all once the user has tried to continue: nothing is red before. */
export function visible(problems: readonly SpecProblem[], left: ReadonlySet<string>, all: boolean): SpecProblem[] {
    if (all) return [...problems];
    return problems.filter((problem) => {
        const own = fieldOf(problem.path);
        return [...left].some((field) => own === field || isWithin(problem.path, field) || isWithin([field], own));
    });
}

/** A hint as text and things to type (between backquotes). */
export function hintParts(hint: string): { text: string; typed: boolean }[] {
    return hint
        .split("`")
        .map((text, index) => ({ text, typed: index % 2 === 1 }))
        .filter((part) => part.text);
}

const DEFINE = /^\{\{([^{}|]+)(?:\|[^{}]*)?\}\} is not defined$/;

/** A text in pieces; those that use a name which is not defined are marked. */
export function marked(text: string, names: readonly string[]): { text: string; unknown: boolean }[] {
    return text
        .split(/(\{\{[^{}]*\}\})/)
        .filter(Boolean)
        .map((piece) => ({ text: piece, unknown: names.includes(REFERENCE.exec(piece)?.[1]?.trim() ?? "") }));
}

const REFERENCE = /^\{\{([^{}|]+)(?:\|[^{}]*)?\}\}$/;

/** The names that these problems miss. */
export function missingNames(problems: readonly SpecProblem[]): string[] {
    return problems.flatMap((problem) => missingVariable(problem) ?? []);
}

/** The name of a variable that is used and not defined: it can be added by one click. */
export function missingVariable(problem: SpecProblem): string | null {
    return problem.code === "unknown_variable" ? (DEFINE.exec(problem.message)?.[1]?.trim() ?? null) : null;
}
