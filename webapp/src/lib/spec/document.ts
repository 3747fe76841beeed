// A spec as text, YAML or JSON, in step with its data: edits in the form leave comments and order of the text alone.
import {
    Document,
    isCollection,
    isMap,
    isNode,
    isScalar,
    isSeq,
    LineCounter,
    parseDocument,
    YAMLMap,
    YAMLSeq,
} from "yaml";

import { planned } from "$lib/format";

import { rulesOf, thresholdsOf } from "./fields";
import { get, isObject, type Path } from "./paths";
import { seconds, type Spec } from "./spec";

export type Format = "yaml" | "json";

export interface TextProblem {
    message: string;
    /** From 1. */
    line: number;
    column: number;
}

export type Parsed = { spec: Spec; problem: null } | { spec: null; problem: TextProblem };

const ORDER = [
    "name", "description", "type", "base_url", "url", "method", "headers", "body", "expect_body", "endpoints", "data", "setup", "blocks",
    "scenarios", "teardown",
    "distribution_strategy", "weight", "load", "model", "users", "rate", "start", "stages", "duration",
    "duration_seconds", "total_requests", "concurrency", "requests_per_second", "timeout", "timeout_seconds",
    "expected_status_codes", "thresholds", "auth", "variables",
]; // prettier-ignore

/** Fields in the order in which people write them. */
export function ordered(spec: Spec): Spec {
    return inOrder(spec, true) as Spec;
}

function inOrder(value: unknown, isSpec: boolean): unknown {
    if (Array.isArray(value)) return value.map((item) => inOrder(item, isSpec));
    if (!isObject(value)) return value;
    const entries = Object.entries(value).map(([name, item]): [string, unknown] => {
        const fields = isSpec && (name === "endpoints" || name === "load" || name === "stages" || name === "auth");
        return [name, fields ? inOrder(item, true) : item];
    });
    return Object.fromEntries(isSpec ? entries.toSorted(([a], [b]) => place(a) - place(b)) : entries);
}

function place(name: string): number {
    const found = ORDER.indexOf(name);
    return found < 0 ? ORDER.length : found;
}

export function render(spec: Spec, format: Format): string {
    const data = ordered(spec);
    return format === "json"
        ? `${JSON.stringify(data, null, 2)}\n`
        : String(new Document(data, { aliasDuplicateObjects: false })).replace(/^\{\}\n$/, "");
}

export function parse(text: string): Parsed {
    const lines = new LineCounter();
    // JSON is YAML as far as a spec goes, so pasting either into either works.
    const document = parseDocument(text, { lineCounter: lines, intAsBigInt: true, prettyErrors: false });
    const [error] = document.errors;
    if (error) {
        const { line, col } = lines.linePos(error.pos[0]);
        return failed(error.message, line, col);
    }
    let data: unknown;
    try {
        data = document.toJS({ maxAliasCount: 100 });
    } catch (cause) {
        return failed(cause instanceof Error ? cause.message : String(cause));
    }
    if (data === null || data === undefined) return { spec: {}, problem: null };
    if (!isObject(data)) return failed("a spec is fields with values, such as `url: https://api.example.com`");
    const tooLarge: Path[] = [];
    const spec = numbers(data, [], tooLarge) as Spec;
    if (tooLarge[0]) {
        const line = lineOf(text, tooLarge[0]) ?? 1;
        return failed("a browser cannot hold this number exactly; run this spec with `atm run`", line);
    }
    return { spec, problem: null };
}

function failed(message: string, line = 1, column = 1): Parsed {
    return { spec: null, problem: { message, line, column } };
}

function numbers(value: unknown, path: Path, tooLarge: Path[]): unknown {
    if (typeof value === "bigint") {
        if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) tooLarge.push(path);
        return Number(value);
    }
    if (Array.isArray(value)) return value.map((item, index) => numbers(item, [...path, index], tooLarge));
    if (!isObject(value)) return value;
    return Object.fromEntries(
        Object.entries(value).map(([name, item]) => [name, numbers(item, [...path, name], tooLarge)]),
    );
}

/** The line (from 1) on which the value at a path begins, or the nearest one around it; null where there is none. */
export function lineOf(text: string, path: Path): number | null {
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
    let node: unknown = document.contents;
    let start: number | null = null;
    for (const part of path) {
        const next = step(node, part);
        if (!next) break;
        start = next.start ?? start;
        node = next.node;
    }
    return start === null ? null : lines.linePos(start).line;
}

function step(node: unknown, part: string | number): { node: unknown; start: number | null } | null {
    if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
        return pair ? { node: pair.value, start: isNode(pair.key) ? (pair.key.range?.[0] ?? null) : null } : null;
    }
    if (isSeq(node) && typeof part === "number") {
        const item = node.items[part];
        return item === undefined ? null : { node: item, start: isNode(item) ? (item.range?.[0] ?? null) : null };
    }
    return null;
}

/** The text with what is different in `spec`: comments and the order of fields stay where they can. */
export function patched(text: string, spec: Spec, format: Format): string {
    if (format === "json") return render(spec, "json");
    const document = parseDocument(text);
    if (document.errors.length || !isMap(document.contents) || !text.includes("#")) return render(spec, "yaml");
    patch(document, [], ordered(spec));
    return String(document);
}

function patch(document: Document, path: (string | number)[], value: unknown): void {
    const here = path.length ? document.getIn(path, true) : document.contents;
    if (isObject(value) && here instanceof YAMLMap) {
        const names = Object.keys(value);
        for (const { key } of [...here.items]) {
            const name = isScalar(key) ? String(key.value) : String(key);
            if (!names.includes(name)) document.deleteIn([...path, name]);
        }
        for (const name of names) patch(document, [...path, name], value[name]);
    } else if (Array.isArray(value) && here instanceof YAMLSeq) {
        for (let index = here.items.length - 1; index >= value.length; index -= 1) document.deleteIn([...path, index]);
        value.forEach((item, index) => patch(document, [...path, index], item));
    } else if (isCollection(here) || !isScalar(here) || here.value !== value) {
        document.setIn(path, isObject(value) || Array.isArray(value) ? document.createNode(value) : value);
    }
}

/** Whether two specs say the same, whatever the order of their fields. */
export function isSame(a: unknown, b: unknown): boolean {
    if (a === b) return true;
    if (Array.isArray(a) && Array.isArray(b))
        return a.length === b.length && a.every((item, index) => isSame(item, b[index]));
    if (!isObject(a) || !isObject(b)) return false;
    const names = Object.keys(a);
    return (
        names.length === Object.keys(b).length &&
        names.every((name) => Object.hasOwn(b, name) && isSame(a[name], get(b, [name])))
    );
}

const DURATIONS = new Set([
    "duration",
    "timeout",
    "warm_up",
    "graceful_stop",
    "catch_up_max",
    "expires_in",
    "resolve_every",
]);

/** Objects whose names are the user's own, not fields of the spec. */
const FREE = new Set(["headers", "variables", "body", "json", "form", "extract", "checks"]);

/** A spec in one spelling, whichever way it was written: what differs then is what is different. */
export function comparable(spec: Spec): Spec {
    return ordered(spelled(spec) as Spec);
}

function spelled(value: unknown, owner = ""): unknown {
    if (Array.isArray(value)) return value.map((item) => spelled(item, owner));
    if (!isObject(value)) return value;
    const entries = Object.entries(value)
        .filter(([, item]) => item !== null && item !== undefined)
        .map(([name, item]): [string, unknown] => {
            const field = name.replace(/_seconds$/, "");
            if (FREE.has(owner)) return [name, item];
            if (DURATIONS.has(field)) return [field, durationSpelled(item)];
            if (name === "thresholds") return [name, thresholdsOf(rulesOf(item))];
            return [name, spelled(item, name)];
        });
    return Object.fromEntries(entries.filter(([, item]) => item !== undefined));
}

function durationSpelled(value: unknown): unknown {
    const found = seconds(value);
    return found === null ? value : planned(found);
}
