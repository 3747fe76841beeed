// What a step takes from a response, as fields of a form and as it is written. Pure. The grammar: src/atm/plan/extracts.py.
import { textOf } from "./fields";
import { isObject, omit } from "./paths";

export const SOURCES = ["json", "header", "cookie", "regex", "status", "body"] as const;
export const PICKS = ["first", "last", "random", "all", "count"] as const;
export type ExtractSource = (typeof SOURCES)[number];
export type ExtractPick = (typeof PICKS)[number];

export interface ExtractRow {
    name: string;
    /** `written`: a line that is none of the sources, or is not finished. */
    source: ExtractSource | "written";
    /** The JSONPath, the name of the header or cookie, the pattern; of `written` the whole line. */
    text: string;
    pick: ExtractPick;
    /** The value where the response has none, as JSON or text; null: then the request fails. */
    fallback: string | null;
    secret: boolean;
    /** Fields of the long form that the form does not know. */
    rest: Record<string, unknown>;
    /** It was written as an object. */
    isLong: boolean;
}

export const WITH_TEXT: readonly string[] = ["json", "header", "cookie", "regex", "written"];
export const WITH_PICK: readonly string[] = ["json", "header", "regex"];

export function newExtract(): ExtractRow {
    return {
        name: "",
        source: "json",
        text: "",
        pick: "first",
        fallback: null,
        secret: false,
        rest: {},
        isLong: false,
    };
}

export function extractRows(extract: unknown): ExtractRow[] {
    if (!isObject(extract)) return [];
    return Object.entries(extract).map(([name, written]) => ({ ...newExtract(), ...read(written), name }));
}

export function extractsOf(rows: readonly ExtractRow[]): Record<string, unknown> | undefined {
    const named = rows.filter((row) => row.name.trim());
    return named.length ? Object.fromEntries(named.map((row) => [row.name.trim(), written(row)])) : undefined;
}

const QUOTED = /^"((?:[^"\\]|\\.)*)"$/s;

function read(value: unknown): Partial<ExtractRow> {
    if (typeof value === "string") return readLine(value);
    if (!isObject(value)) return { source: "written", text: textOf(value) };
    const found = SOURCES.filter((name) => value[name] !== undefined && value[name] !== false);
    const [source] = found;
    if (!source || found.length > 1) return { source: "written", text: textOf(value), rest: value, isLong: true };
    const pick = PICKS.find((each) => each === value.pick) ?? "first";
    return {
        source,
        text: WITH_TEXT.includes(source) ? textOf(value[source]) : "",
        pick,
        fallback: "default" in value ? fallbackText(value.default) : null,
        secret: value.secret === true,
        rest: omit(value, source, "pick", "default", "secret"),
        isLong: true,
    };
}

function readLine(line: string): Partial<ExtractRow> {
    const asWritten: Partial<ExtractRow> = { source: "written", text: line };
    const parts = splitBars(line).map((part) => part.trim());
    const head = parts[0] ?? "";
    let pick: ExtractPick = "first";
    let fallback: string | null = null;
    for (const [index, part] of parts.slice(1).entries()) {
        const known = PICKS.find((each) => each === part.toLowerCase());
        const value = /^default\s+(.+)$/is.exec(part)?.[1];
        if (known && index === 0) pick = known;
        else if (value !== undefined && fallback === null && index === parts.length - 2) fallback = unquoted(value);
        else return asWritten;
    }
    const found = /^(header|cookie|regex)\s+(.+)$/is.exec(head);
    const word = head.toLowerCase();
    const [source, text]: [ExtractSource | null, string] = head.startsWith("$")
        ? ["json", head]
        : found
          ? [found[1]?.toLowerCase() as ExtractSource, found[2] ?? ""]
          : word === "status" || word === "body"
            ? [word, ""]
            : [null, ""];
    if (!source || (pick !== "first" && !WITH_PICK.includes(source))) return asWritten;
    if (source !== "regex") return { source, text, pick, fallback };
    const pattern = QUOTED.test(text) ? parsed(text) : undefined;
    return typeof pattern === "string" ? { source, text: pattern, pick, fallback } : asWritten;
}

/** A line at its bars, those in quotes, brackets and parentheses left alone. */
function splitBars(line: string): string[] {
    const parts = [""];
    let quote = "";
    let depth = 0;
    for (let index = 0; index < line.length; index += 1) {
        const character = line.charAt(index);
        let piece = character;
        if (quote) {
            if (character === "\\") piece += line.charAt((index += 1));
            else if (character === quote) quote = "";
        } else if (character === '"' || character === "'") quote = character;
        else if (character === "[" || character === "(") depth += 1;
        else if (character === "]" || character === ")") depth -= 1;
        else if (character === "|" && depth <= 0) {
            parts.push("");
            continue;
        }
        parts[parts.length - 1] += piece;
    }
    return parts;
}

function parsed(text: string): unknown {
    try {
        return JSON.parse(text);
    } catch {
        return undefined; // not JSON, so it is plain text
    }
}

function unquoted(text: string): string {
    const value = QUOTED.test(text) ? parsed(text) : undefined;
    // A text that reads as another value keeps its quotes: "1" is not 1.
    return typeof value === "string" && parsed(value) === undefined ? value : text;
}

function fallbackText(value: unknown): string {
    if (typeof value === "string" && parsed(value) === undefined) return value;
    return JSON.stringify(value);
}

/** A fallback as a value: JSON where it is that, else the text. */
function fallbackValue(text: string): unknown {
    const value = parsed(text);
    return value === undefined ? text : value;
}

/** As one line where it fits on one, and in long form where it was long or has to be. */
function written(row: ExtractRow): unknown {
    const { source, text, pick, fallback, secret, rest, isLong } = row;
    if (source === "written") return isLong ? rest : text;
    const value = WITH_TEXT.includes(source) ? text : true;
    const hasPick = pick !== "first" && WITH_PICK.includes(source);
    if (isLong || secret || (source === "json" && !text.startsWith("$")))
        return {
            [source]: value,
            ...(hasPick ? { pick } : {}),
            ...(fallback === null ? {} : { default: fallbackValue(fallback) }),
            ...(secret ? { secret } : {}),
            ...rest,
        };
    const head =
        source === "json"
            ? text
            : source === "regex"
              ? `regex ${JSON.stringify(text)}`
              : WITH_TEXT.includes(source)
                ? `${source} ${text}`
                : source;
    return [head, ...(hasPick ? [pick] : []), ...(fallback === null ? [] : [`default ${fallbackLine(fallback)}`])].join(
        " | ",
    );
}

function fallbackLine(text: string): string {
    const value = parsed(text);
    const isPlain = value !== undefined ? !isObject(value) && !Array.isArray(value) : /^[^\s|"']+$/.test(text);
    return isPlain ? text : JSON.stringify(text);
}
