// The test data of a spec: sources of rows, and each change as a new value. Pure.
import { textOf } from "./fields";
import { freeName } from "./names";
import { isObject, omit } from "./paths";
import type { Spec } from "./spec";
import { renamed } from "./steps";

export type Source = Record<string, unknown>;

/** The sources by name; one written as a text is a file, one written as a list its rows. */
export function sourcesOf(spec: Spec): [string, Source][] {
    return Object.entries(isObject(spec.data) ? spec.data : {}).map(([name, held]) => [name, sourceOf(held)]);
}

function sourceOf(held: unknown): Source {
    if (typeof held === "string") return { file: held };
    if (Array.isArray(held)) return { rows: held };
    return isObject(held) ? held : {};
}

export function isFileSource(source: Source): boolean {
    return source.file !== undefined || source.rows === undefined;
}

/** The spec with another source, as its last. */
export function withNewSource(spec: Spec, file: string): { spec: Spec; name: string } {
    const held = isObject(spec.data) ? spec.data : {};
    const name = freeSource("accounts", Object.keys(held));
    const source = file ? { file } : { rows: [{ name: "ada" }, { name: "bob" }] };
    return { spec: { ...spec, data: { ...held, [name]: source } }, name };
}

/** A name with spaces could not be written in `{{…}}`. */
function freeSource(name: string, taken: readonly string[]): string {
    return freeName(name, taken).replaceAll(" ", "_");
}

export function withoutSource(spec: Spec, name: string): Spec {
    const data = omit(isObject(spec.data) ? spec.data : {}, name);
    return Object.keys(data).length ? { ...spec, data } : (omit(spec, "data") as Spec);
}

/** The spec with another name of a source, also where its columns are used. */
export function withRenamedSource(spec: Spec, from: string, to: string): Spec {
    const data = renamed(isObject(spec.data) ? spec.data : {}, from, to);
    const pattern = new RegExp(`(\\{\\{\\s*)${escaped(from)}(?=\\.)`, "g");
    const used = replaced(omit(spec, "data"), (text) => text.replace(pattern, `$1${to}`)) as Spec;
    return { ...spec, ...used, data };
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\-]/g, "\\$&");

function replaced(value: unknown, change: (text: string) => string): unknown {
    if (typeof value === "string") return change(value);
    if (Array.isArray(value)) return value.map((item) => replaced(item, change));
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, replaced(item, change)]));
}

/** The source with rows from a file, or with rows of its own; how they are used stays. */
export function asFile(source: Source, file: string): Source {
    return { file, ...omit(source, "rows", "file") };
}

export function asRows(source: Source): Source {
    return {
        rows: [{ name: "ada" }, { name: "bob" }],
        ...omit(source, "rows", "file", "format", "separator", "columns"),
    };
}

/** Column names that the spec itself says: in `columns`, or as the keys of its first row. */
export function writtenColumns(source: Source): string[] {
    if (Array.isArray(source.columns)) return (source.columns as unknown[]).map(textOf).filter(Boolean);
    const [first] = Array.isArray(source.rows) ? (source.rows as unknown[]) : [];
    return isObject(first) ? Object.keys(first) : [];
}

/** The rows of a source as a table shows them. */
export function writtenRows(source: Source, most: number): string[][] {
    const columns = writtenColumns(source);
    const rows = Array.isArray(source.rows) ? (source.rows as unknown[]) : [];
    return rows.slice(0, most).map((row) => {
        if (isObject(row)) return columns.map((column) => shown(row[column]));
        return (Array.isArray(row) ? (row as unknown[]) : [row]).map(shown);
    });
}

function shown(value: unknown): string {
    return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
}

/** The names of columns as a field holds them, separated by commas. */
export function columnsOf(text: string): string[] | undefined {
    const names = text
        .split(",")
        .map((name) => name.trim())
        .filter(Boolean);
    return names.length ? names : undefined;
}

export function columnsText(held: unknown): string {
    return Array.isArray(held) ? (held as unknown[]).map(textOf).join(", ") : "";
}

/** How a server reads a file, as the query of its preview; `key` tells two ways apart. */
export function layoutOf(source: Source): { key: string; query: Record<string, string | string[] | undefined> } {
    const columns = Array.isArray(source.columns) ? (source.columns as unknown[]).map(textOf) : undefined;
    const separator = textOf(source.separator) || undefined;
    const format = textOf(source.format) || undefined;
    return {
        key: JSON.stringify([source.file, format, separator, columns]),
        query: { format, separator: separator?.length === 1 ? separator : undefined, columns },
    };
}

export const PER = [
    { value: "iteration", label: "Each iteration" },
    { value: "user", label: "Each user" },
    { value: "use", label: "Each use" },
] as const;

export const PICK = [
    { value: "", label: "Default" },
    { value: "in_order", label: "In order" },
    { value: "shuffled", label: "Shuffled" },
    { value: "random", label: "Random" },
    { value: "once", label: "Once: no row twice" },
] as const;

export const WHEN_USED_UP = [
    { value: "", label: "Default" },
    { value: "recycle", label: "Begin again" },
    { value: "stop", label: "Stop the load" },
    { value: "error", label: "Reject the test before" },
] as const;
