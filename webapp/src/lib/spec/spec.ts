// A test spec as plain data, as far as the form knows it. Fields that it does not know are kept as they are.
import { isObject } from "./paths";
import { requestOf, requestsIn } from "./steps";

export interface Stage {
    duration?: string | number;
    target?: number;
}

export interface Load {
    model?: "closed" | "open";
    users?: number;
    rate?: number;
    start?: number;
    stages?: Stage[];
    arrival?: "even" | "poisson";
    warm_up?: string | number;
    [field: string]: unknown;
}

export interface Auth {
    type?: string;
    [field: string]: unknown;
}

export interface Endpoint {
    name?: string;
    url?: string;
    method?: string;
    headers?: Record<string, string | string[] | null>;
    body?: unknown;
    weight?: number;
    expected_status_codes?: (number | string)[];
    [field: string]: unknown;
}

export interface Spec extends Endpoint {
    description?: string;
    endpoints?: Endpoint[];
    /** What relative URLs continue. */
    base_url?: string;
    /** Journeys by name. */
    scenarios?: Record<string, unknown>;
    /** Sources of test data by name. */
    data?: Record<string, unknown>;
    /** Steps before and after the load. */
    setup?: unknown;
    teardown?: unknown;
    /** Steps that several scenarios use, by name. */
    blocks?: Record<string, unknown>;
    distribution_strategy?: string;
    total_requests?: number;
    duration?: string | number;
    concurrency?: number;
    requests_per_second?: number;
    load?: Load;
    timeout?: string | number;
    thresholds?: unknown;
    variables?: Record<string, string | { value: string; secret?: boolean }>;
    auth?: Auth;
    engine?: string;
    seed?: number;
    /** Where the load is sent from. */
    fleet?: unknown;
}

/** The first URL of a spec. */
export function firstUrl(spec: Spec): string {
    return urlsOf(spec)[0] ?? "";
}

/** The URLs of a spec as written, relative ones with what they continue. */
export function urlsOf(spec: Spec): string[] {
    const written = isObject(spec.scenarios)
        ? Object.values(spec.scenarios).flatMap((scenario) =>
              isObject(scenario) ? requestsIn(scenario.steps).map((step) => requestOf(step).url) : [],
          )
        : Array.isArray(spec.endpoints)
          ? spec.endpoints.map((endpoint) => endpoint?.url)
          : [spec.url];
    const base = typeof spec.base_url === "string" ? spec.base_url.replace(/\/$/, "") : "";
    return written
        .filter((url): url is string => typeof url === "string" && url !== "")
        .map((url) => (url.startsWith("/") ? base + url : url));
}

/** Seconds of a duration as people write it (`30s`, `1m 30s`, `250ms`, a number of seconds); null where it is none. */
export function seconds(value: unknown): number | null {
    if (typeof value === "number") return Number.isFinite(value) && value >= 0 ? value : null;
    if (typeof value !== "string" || !value.trim()) return null;
    const units: Record<string, number> = { ms: 0.001, s: 1, sec: 1, m: 60, min: 60, h: 3600 };
    let total = 0;
    const rest = value.trim().replace(/(\d+(?:\.\d+)?)\s*(ms|sec|s|min|m|h)\s*/g, (_, number: string, unit: string) => {
        total += Number(number) * (units[unit] ?? 0);
        return "";
    });
    if (rest === "") return total;
    return /^\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : null;
}

/**
 * A URL with the variables that the spec itself gives a plain value; what differs per request, comes from the environment
 * or is a secret stays as it is written. As `shown_url` in src/atm/plan/spec_mask.py.
 */
export function shownUrl(spec: Spec, url = firstUrl(spec)): string {
    return url.replace(/\\\{\{|\{\{\s*([^{}|]+?)\s*(?:\|\s*raw\s*)?\}\}/g, (whole, name?: string) => {
        const value = name === undefined ? undefined : spec.variables?.[name];
        return typeof value !== "string" || value.includes("{{") || value.includes("***") ? whole : value;
    });
}

const originOf = (url: string): string => /^https?:\/\/[^/?#]+/.exec(url)?.[0] ?? url;

/** How many endpoints it has. */
export function endpointsOf(spec: Spec): number {
    return Array.isArray(spec.endpoints) ? spec.endpoints.length : 1;
}

/** Where the load goes: the one URL, or the hosts of several endpoints. */
export function targetsOf(spec: Spec, url: string): string {
    const urls = spec.endpoints || spec.scenarios ? urlsOf(spec).map((each) => shownUrl(spec, each)) : [];
    const origins = [...new Set(urls.filter(Boolean).map(originOf))];
    if (!origins.length) return shownUrl(spec, url);
    return origins.length > 2 ? `${origins[0]} and ${origins.length - 1} more hosts` : origins.join(" and ");
}
