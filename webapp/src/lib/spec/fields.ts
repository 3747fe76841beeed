// Converts between the text of a field and the value in a spec. Pure. Invalid input stays text, so that nothing that
// the user typed is lost, and the server's validator says what is wrong with it.
import { isObject, omit, type Path } from "./paths";
import { hostsOf } from "./preview";
import type { Auth, Spec } from "./spec";

export function numberOf(text: string): number | string | undefined {
    const plain = text.trim();
    if (!plain) return undefined;
    const grouped = plain.replace(/(?<=\d)[\u202f\u00a0 _](?=\d)/g, "");
    const number = Number(grouped);
    return /^[+-]?(\d|\.\d)/.test(grouped) && Number.isFinite(number) ? number : plain;
}

export function textOf(value: unknown): string {
    if (value === undefined || value === null) return "";
    return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A duration as it is written: with its unit; a number of seconds gets one. */
export function durationText(value: unknown): string {
    return typeof value === "number" ? `${value} s` : textOf(value);
}

/** `30 s` and `30s` are the same, a bare number stays one of seconds; what it is not is for the validator to say. */
export function durationOf(text: string): string | undefined {
    const plain = text.trim().replace(/(\d)\s+(?=[a-zµ])/gi, "$1");
    if (!plain) return undefined;
    return /^\d+(\.\d+)?$/.test(plain) ? `${plain}s` : plain;
}

/** `200, 2xx 404` as a list. */
export function statusesOf(text: string): (number | string)[] | undefined {
    const found = text.split(/[\s,;]+/).filter(Boolean);
    return found.length ? found.map((each) => (/^\d{3}$/.test(each) ? Number(each) : each)) : undefined;
}

export function statusesText(value: unknown): string {
    return Array.isArray(value) ? value.map(textOf).join(", ") : textOf(value);
}

// Names with values: headers, variables

export interface Row {
    name: string;
    value: string;
    /** A variable of which the spec says that it is a credential: `{value, secret: true}`. */
    secret?: boolean;
    /** A header that is not sent, though the tool or the defaults would: null in the spec. */
    removed?: boolean;
}

/** The rows of an object; a list of values, as of a header that is sent several times, is a row for each. */
export function rowsOf(value: unknown): Row[] {
    if (!isObject(value)) return [];
    return Object.entries(value).flatMap(([name, each]): Row[] => {
        if (Array.isArray(each)) return each.map((one) => ({ name, value: textOf(one) }));
        if (each === null) return [{ name, value: "", removed: true }];
        if (isObject(each) && "value" in each)
            return [{ name, value: textOf(each["value"]), secret: each["secret"] === true }];
        return [{ name, value: textOf(each) }];
    });
}

/**
 * What the rows are in a spec. Rows without a name are not written. Of two with the same name the later one counts, or,
 * where a name may be `repeatable`, they are a list of values.
 */
export function objectOf(rows: readonly Row[], repeatable = false): Record<string, unknown> | undefined {
    const named = rows.filter((row) => row.name.trim());
    if (!named.length) return undefined;
    const written = (row: Row): unknown =>
        row.removed ? null : row.secret ? { value: row.value, secret: true } : row.value;
    const found = new Map<string, unknown>();
    for (const row of named) {
        const before = found.get(row.name.trim());
        const isSecond = repeatable && !row.removed && before !== undefined && before !== null;
        found.set(row.name.trim(), isSecond ? [before, written(row)].flat() : written(row));
    }
    return Object.fromEntries(found);
}

/** Indices of rows whose name stands in an earlier row too and may not; header names ignore case. */
export function repeated(rows: readonly Row[], ignoreCase: boolean, repeatable = false): Set<number> {
    const seen = new Map<string, Row>();
    const found = new Set<number>();
    rows.forEach((row, index) => {
        const name = ignoreCase ? row.name.trim().toLowerCase() : row.name.trim();
        if (!name) return;
        const before = seen.get(name);
        // Spelled in the same way it is the same field of the spec, and its values are sent one after the other.
        const isList = repeatable && before?.name.trim() === row.name.trim() && !row.removed && !before.removed;
        if (before && !isList) found.add(index);
        seen.set(name, before ?? row);
    });
    return found;
}

// Bodies

export type BodyKind = "none" | "json" | "text";

export function bodyKind(body: unknown): BodyKind {
    if (body === undefined || body === null) return "none";
    return typeof body === "string" ? "text" : "json";
}

export function bodyText(body: unknown): string {
    if (body === undefined || body === null) return "";
    return typeof body === "string" ? body : JSON.stringify(body, null, 2);
}

export interface JsonMistake {
    message: string;
    line: number | null;
}

export function readJson(text: string): { value: unknown; mistake: null } | { value: undefined; mistake: JsonMistake } {
    try {
        return { value: JSON.parse(text), mistake: null };
    } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        const at = /at position (\d+)/.exec(message)?.[1];
        const end = /unexpected end|unterminated/i.test(message) ? text.length : null;
        const position = at === undefined ? end : Number(at);
        const line = position === null ? null : text.slice(0, position).split("\n").length;
        const what = message
            .replace(/^JSON\.parse: /, "")
            .replace(/ in JSON at position.*$| is not valid JSON$/s, "")
            .replace(/, "?\.*.*$/s, "");
        return {
            value: undefined,
            mistake: { message: `this is not valid JSON: ${what.charAt(0).toLowerCase()}${what.slice(1)}`, line },
        };
    }
}

// Thresholds

export interface Rule {
    expression: string;
    abort: boolean;
    /** What else was written with it. */
    rest: Record<string, unknown>;
}

export interface Rules {
    /** Named limits as in `max_latency_p95_ms`. */
    named: Record<string, unknown>;
    rules: Rule[];
}

export const NAMED_LIMITS: Record<string, { label: string; unit: string }> = {
    max_latency_p50_ms: { label: "p50 below", unit: "ms" },
    max_latency_p95_ms: { label: "p95 below", unit: "ms" },
    max_latency_p99_ms: { label: "p99 below", unit: "ms" },
    max_error_rate: { label: "Error rate below", unit: "of 1" },
    min_throughput_rps: { label: "Throughput above", unit: "/s" },
};

export function rulesOf(thresholds: unknown): Rules {
    if (typeof thresholds === "string" || Array.isArray(thresholds)) return { named: {}, rules: ruleList(thresholds) };
    if (!isObject(thresholds)) return { named: {}, rules: [] };
    const { expressions, ...named } = thresholds;
    return { named, rules: ruleList(expressions) };
}

function ruleList(value: unknown): Rule[] {
    if (value === undefined || value === null) return [];
    return (Array.isArray(value) ? (value as unknown[]) : [value]).map((each) => {
        if (!isObject(each)) return { expression: textOf(each), abort: false, rest: {} };
        const { expression, abort, ...rest } = each;
        return { expression: textOf(expression), abort: abort === true, rest };
    });
}

/** As short as it can be: a list of texts where nothing more is said. */
export function thresholdsOf({ named, rules }: Rules): unknown {
    const written = rules.map(({ expression, abort, rest }) =>
        abort || Object.keys(rest).length ? { expression, ...(abort ? { abort } : {}), ...rest } : expression,
    );
    if (Object.keys(named).length) return written.length ? { ...named, expressions: written } : named;
    return written.length ? written : undefined;
}

// Credentials

export interface AuthField {
    name: string;
    label: string;
    secret?: boolean;
    optional?: boolean;
    placeholder?: string;
    choices?: readonly string[];
}

export const AUTH_TYPES: Record<string, { label: string; fields: readonly AuthField[] }> = {
    bearer_token: {
        label: "Bearer token",
        fields: [{ name: "token", label: "Token", secret: true, placeholder: "{{env:TOKEN}}" }],
    },
    api_key: {
        label: "API key",
        fields: [
            { name: "key", label: "Key", secret: true, placeholder: "{{env:API_KEY}}" },
            { name: "header_name", label: "Header", optional: true, placeholder: "X-API-Key" },
        ],
    },
    basic: {
        label: "Basic",
        fields: [
            { name: "username", label: "Username" },
            { name: "password", label: "Password", secret: true, placeholder: "{{env:PASSWORD}}" },
        ],
    },
    oauth2_client_credentials: {
        label: "OAuth 2, client credentials",
        fields: [
            { name: "token_url", label: "Token URL", placeholder: "https://login.example.com/oauth/token" },
            { name: "client_id", label: "Client id" },
            { name: "client_secret", label: "Client secret", secret: true, placeholder: "{{env:CLIENT_SECRET}}" },
            { name: "scope", label: "Scope", optional: true },
        ],
    },
    oauth2_password_grant: {
        label: "OAuth 2, password",
        fields: [
            { name: "token_url", label: "Token URL", placeholder: "https://login.example.com/oauth/token" },
            { name: "client_id", label: "Client id" },
            { name: "client_secret", label: "Client secret", secret: true, optional: true },
            { name: "username", label: "User name" },
            { name: "password", label: "Password", secret: true, placeholder: "{{env:PASSWORD}}" },
            { name: "scope", label: "Scope", optional: true },
        ],
    },
    jwt: {
        label: "JWT (signed by this tool)",
        fields: [
            { name: "secret", label: "Secret or private key", secret: true, placeholder: "{{env:KEY}}" },
            {
                name: "algorithm",
                label: "Algorithm",
                optional: true,
                choices: [
                    "HS256",
                    "HS384",
                    "HS512",
                    "RS256",
                    "RS384",
                    "RS512",
                    "ES256",
                    "ES384",
                    "PS256",
                    "PS384",
                    "PS512",
                ],
            },
            { name: "issuer", label: "Issuer", optional: true },
            { name: "subject", label: "Subject", optional: true },
            { name: "audience", label: "Audience", optional: true },
        ],
    },
};

/** Another type, with the fields that both have kept. */
export function asAuthType(auth: Auth | undefined, type: string): Auth | undefined {
    if (!type) return undefined;
    const names = new Set(AUTH_TYPES[type]?.fields.map((field) => field.name));
    return { type, ...Object.fromEntries(Object.entries(auth ?? {}).filter(([name]) => names.has(name))) };
}

// Drafts

const SECRET_NAME =
    /(^|[-_.])(password|passwd|passphrase|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?)$/i;
const SECRET_HEADERS = new Set(["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"]);

/** A value of a spec that a draft does not hold: where it was, and what stands there instead. */
export interface Omitted {
    path: Path;
    left: string;
}

/**
 * A spec without what is secret in it: a browser keeps drafts where scripts can read them. Each secret leaves an empty
 * text behind, so that its place stays.
 */
export function withoutSecrets(spec: Spec): { spec: Spec; omitted: Omitted[] } {
    const omitted: Omitted[] = [];
    return { spec: bare(spec, [], omitted) as Spec, omitted };
}

function bare(value: unknown, path: Path, omitted: Omitted[]): unknown {
    if (Array.isArray(value)) return value.map((item, index) => bare(item, [...path, index], omitted));
    if (isObject(value))
        return Object.fromEntries(
            Object.entries(value).map(([name, item]) => [name, bare(item, [...path, name], omitted)]),
        );
    if (typeof value !== "string" || isSource(path)) return value;
    const [owner, name] = [path.at(-2), path.at(-1)];
    const isWhole = typeof name === "string" && isSecret(name, String(owner)) && !isTemplate(value);
    const left = isWhole ? "" : withoutUrlSecrets(value);
    if (left !== value) omitted.push({ path, left });
    return left;
}

/** What a step takes from a response, or checks in it, says where a secret will be, and is none. */
function isSource(path: Path): boolean {
    const at = path.findIndex((part, index) => typeof path[index - 1] === "number" && STEP_PARTS.has(part));
    return at > 0 && (path[0] === "scenarios" || path[0] === "blocks") && SOURCE_PARTS.has(path[at] ?? "");
}

const SOURCE_PARTS = new Set<string | number>(["extract", "checks"]);
const STEP_PARTS = new Set<string | number>([...SOURCE_PARTS, "json", "body", "form", "headers", "auth"]);

/** Without the user and password of a URL, and without the values of parameters that are called like secrets. */
function withoutUrlSecrets(text: string): string {
    return text
        .replace(/(?<=:\/\/)[^/?#@\s]*@/g, (user) => (isTemplate(user.slice(0, -1).replace(":", "")) ? user : ""))
        .replace(/(?<=[?&])([^=&#\s]+)=([^&#\s]+)/g, (pair, name: string, value: string) =>
            isSecret(name, "") && !isTemplate(value) ? `${name}=` : pair,
        );
}

function isSecret(name: string, owner: string): boolean {
    const parts = name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, "_");
    return SECRET_HEADERS.has(name.toLowerCase()) || SECRET_NAME.test(parts) || (owner === "auth" && name === "key");
}

function isTemplate(text: string): boolean {
    const rest = text
        .replace(/\{\{[^{}]*\}\}/g, "")
        .trim()
        .toLowerCase();
    return ["", "bearer", "basic", "token"].includes(rest);
}

/** Whether a text that was pasted is a curl command line. */
export function isCurl(text: string): boolean {
    return /^\s*(\$\s+)?curl(\.exe)?\s/.test(text);
}

// Endpoints

/** A spec of one URL as one of several endpoints. */
export function asSeveral(spec: Spec): Spec {
    const { url, method, headers, body, expect_body, ...rest } = spec;
    // Without a URL it has no name yet, and gets one with it.
    const name = url ? nameFor(url, method ?? "GET") : "endpoint 1";
    const first = Object.fromEntries(
        Object.entries({ name, url: url ?? "", method, body, expect_body }).filter(([, value]) => value !== undefined),
    );
    return { ...rest, ...(headers ? { headers } : {}), endpoints: [first] };
}

/** The first of several endpoints as the one URL; what belongs to the others goes. */
export function asSingle(spec: Spec): Spec {
    const { endpoints, ...rest } = omit(spec, "distribution_strategy");
    const { headers, auth, timeout, expected_status_codes, ...first } = omit(
        endpoints?.[0] ?? {},
        "name",
        "weight",
        "thresholds",
        "checks",
    );
    // Only an endpoint can say `json` of its body.
    const { json, ...own } = first;
    const request = json === undefined ? own : { ...own, body: json };
    const merged = { ...(isObject(rest.headers) ? rest.headers : {}), ...headers };
    return {
        ...rest,
        ...request,
        ...(Object.keys(merged).length ? { headers: merged } : {}),
        ...(auth ? { auth: auth as Auth } : {}),
        ...(timeout !== undefined ? { timeout: timeout as string } : {}),
        ...(expected_status_codes ? { expected_status_codes } : {}),
    };
}

/** `GET /users`: the name of an endpoint until the user gives it another. */
export function nameFor(url: string, method: string): string {
    const path = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*([^?#]*)/i.exec(url)?.[1] ?? url;
    return `${method || "GET"} ${path || "/"}`.slice(0, 128);
}

/** The name of a test that the user has not named: after its requests. */
export function derivedName(spec: Spec): string {
    if (Array.isArray(spec.endpoints) || isObject(spec.scenarios)) return hostsOf(spec);
    return spec.url ? nameFor(textOf(spec.url), textOf(spec.method)) : "";
}

export function named(spec: Spec): Spec {
    return spec.name ? spec : { name: derivedName(spec) || "test", ...omit(spec, "name") };
}
