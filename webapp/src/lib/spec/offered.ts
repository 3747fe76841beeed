// What a spec offers over time: users of a closed load, arrivals per second of an open one. Pure; the server's own
// compiler (src/atm/plan/loads.py) decides what runs, this draws what it would.
import { planned, rate as rateText, shown, count } from "$lib/format";

import { isObject } from "./paths";
import { firstUrl, seconds, type Spec } from "./spec";

export interface LevelPoint {
    /** Seconds since the start of the run, warm-up included. */
    at: number;
    level: number;
}

export interface Offered {
    model: "closed" | "open";
    /** Corners of the line, warm-up included; two at one moment are a jump. */
    points: LevelPoint[];
    warmUp: number;
    /** Without warm-up; null where only a number of requests ends the run. */
    length: number | null;
    /** Requests of the measured load, as far as they are set: of an open load, or by `total_requests`. */
    requests: number | null;
    peak: number;
    /** The limit of requests at a time; null where the engine sets it. */
    atOnce: number | null;
    poisson: boolean;
    /** Of a closed load: the most requests per second of all users together. */
    maxRate: number | null;
}

export const DEFAULT_USERS = 10;
export const DEFAULT_REQUESTS = 100;

interface Segment {
    from: number;
    to: number;
    length: number | null;
}

interface Shape {
    model: "closed" | "open";
    segments: Segment[];
    warmUp: number;
    warmUpLevel: number | null;
    atOnce: number | null;
    poisson: boolean;
    maxRate: number | null;
}

/** Null where the load cannot be read: then the validator says why. */
export function offered(spec: Spec): Offered | null {
    const shape = shapeOf(spec);
    if (!shape) return null;
    const duration = spec.duration ?? spec.duration_seconds;
    const limit = duration === undefined || duration === null ? null : seconds(duration);
    if (duration !== undefined && duration !== null && !limit) return null;
    const staged = shape.segments.every((segment) => segment.length !== null);
    const total = wholeOf(spec.total_requests);
    if (spec.total_requests !== undefined && total === null) return null;
    const ends = total ?? (limit === null && !staged ? DEFAULT_REQUESTS : null);
    return drawn(shape, limit, ends);
}

function shapeOf(spec: Spec): Shape | null {
    const plain = { warmUp: 0, warmUpLevel: null, poisson: false, maxRate: null };
    if (spec.load === undefined || spec.load === null) {
        const rate = spec.requests_per_second;
        if (rate !== undefined && rate !== null) {
            const level = positive(rate);
            const atOnce = wholeOf(spec.concurrency);
            return level === null
                ? null
                : { ...plain, model: "open", segments: [{ from: level, to: level, length: null }], atOnce };
        }
        const users =
            spec.concurrency === undefined || spec.concurrency === null ? DEFAULT_USERS : wholeOf(spec.concurrency);
        return users
            ? { ...plain, model: "closed", segments: [{ from: users, to: users, length: null }], atOnce: users }
            : null;
    }
    return loadShape(spec.load);
}

function loadShape(load: unknown): Shape | null {
    if (!isObject(load)) return null;
    const model =
        load.model === "open" || load.model === "closed"
            ? load.model
            : present(load.rate)
              ? "open"
              : load.stages && !present(load.users)
                ? null
                : "closed";
    if (!model) return null;
    const segments = load.stages ? stages(load) : flat(load, model);
    if (!segments) return null;
    const warmUp = present(load.warm_up ?? load.warm_up_seconds) ? seconds(load.warm_up ?? load.warm_up_seconds) : 0;
    if (warmUp === null) return null;
    const levels = segments.flatMap((segment) => [segment.from, segment.to]);
    return {
        model,
        segments,
        warmUp,
        warmUpLevel: number(load.warm_up_level),
        atOnce: model === "closed" ? Math.ceil(Math.max(...levels)) : wholeOf(load.max_in_flight),
        poisson: model === "open" && load.arrival === "poisson",
        maxRate: model === "closed" ? positive(load.max_rate) : null,
    };
}

function flat(load: Record<string, unknown>, model: "closed" | "open"): Segment[] | null {
    const level = model === "open" ? positive(load.rate) : present(load.users) ? wholeOf(load.users) : DEFAULT_USERS;
    return level ? [{ from: level, to: level, length: null }] : null;
}

function stages(load: Record<string, unknown>): Segment[] | null {
    if (!Array.isArray(load.stages) || load.stages.length === 0) return null;
    let level = present(load.start) ? number(load.start) : 0;
    const segments: Segment[] = [];
    for (const stage of load.stages as unknown[]) {
        if (!isObject(stage) || level === null) return null;
        const length = seconds(stage.duration ?? stage.duration_seconds);
        const target = number(stage.target);
        if (length === null || target === null) return null;
        if (length > 0) segments.push({ from: level, to: target, length });
        level = target;
    }
    return segments.length && segments.some((segment) => segment.from > 0 || segment.to > 0) ? segments : null;
}

function drawn(shape: Shape, limit: number | null, ends: number | null): Offered {
    const points: LevelPoint[] = [];
    const first = shape.segments[0]?.from ?? 0;
    const someLevel = first || (shape.segments.find((segment) => segment.to)?.to ?? 0);
    if (shape.warmUp > 0) {
        const level = shape.warmUpLevel ?? someLevel;
        points.push({ at: 0, level }, { at: shape.warmUp, level });
    }
    let at = 0;
    let sent = 0;
    let length: number | null = limit;
    for (const segment of shape.segments) {
        const room = limit === null ? Infinity : limit - at;
        if (room <= 0) break;
        const whole = segment.length ?? room;
        const part = lengthOf(
            segment,
            Math.min(whole, room),
            whole,
            shape.model === "open" && ends !== null ? ends - sent : null,
        );
        if (part === null || !Number.isFinite(part)) {
            // Only a number of requests ends it, and how long that takes is up to the target.
            points.push({ at: shape.warmUp + at, level: segment.from });
            length = null;
            at = Number.NaN;
            break;
        }
        const to =
            segment.from + (segment.to - segment.from) * (whole > 0 && Number.isFinite(whole) ? part / whole : 0);
        points.push({ at: shape.warmUp + at, level: segment.from }, { at: shape.warmUp + at + part, level: to });
        sent += ((segment.from + to) / 2) * part;
        at += part;
        length = at;
        if (shape.model === "open" && ends !== null && sent >= ends - 1e-6) break;
    }
    const requests = shape.model === "open" ? Math.min(Math.round(sent), ends ?? Infinity) : ends;
    return {
        model: shape.model,
        points,
        warmUp: shape.warmUp,
        length,
        requests: requests !== null && Number.isFinite(requests) ? requests : null,
        peak: Math.max(...points.map((point) => point.level), 0),
        atOnce: shape.atOnce,
        poisson: shape.poisson,
        maxRate: shape.maxRate,
    };
}

/** How long a segment lasts when at most `left` arrivals may still start; null where it has no end. */
function lengthOf(segment: Segment, most: number, whole: number, left: number | null): number | null {
    if (left === null) return Number.isFinite(most) ? most : null;
    const slope = Number.isFinite(whole) && whole > 0 ? (segment.to - segment.from) / whole : 0;
    const reached =
        slope === 0
            ? left / segment.from
            : (-segment.from + Math.sqrt(Math.max(segment.from ** 2 + 2 * slope * left, 0))) / slope;
    // A ramp down may never reach it.
    const never = slope < 0 && segment.from ** 2 + 2 * slope * left < 0;
    return Number.isFinite(reached) && reached > 0 && !never
        ? Math.min(reached, most)
        : Number.isFinite(most)
          ? most
          : null;
}

/** `30 000 requests in 1 min to api.example.com, at most 64 at once`. */
export function inWords(spec: Spec, found: Offered | null): string {
    if (!found) return "";
    const parts: string[] = [];
    if (found.requests !== null) {
        const exact = found.model === "closed" || !found.poisson;
        const ends = found.length === null ? "" : ` in ${planned(Number(found.length.toPrecision(6)))}`;
        const atMost = found.model === "closed" && found.length !== null ? "at most " : exact ? "" : "about ";
        parts.push(`${atMost}${shown(count(found.requests))} ${found.requests === 1 ? "request" : "requests"}${ends}`);
    } else {
        parts.push(
            `${shown(count(Math.round(found.peak)))} ${found.peak === 1 ? "user" : "users"} for ${planned(found.length)}`,
        );
    }
    const host = hostsOf(spec);
    if (host) parts[0] += ` to ${host}`;
    if (found.requests !== null && found.model === "closed")
        parts.push(`by ${shown(count(Math.round(found.peak)))} ${found.peak === 1 ? "user" : "users"}`);
    else if (found.model === "open" && found.atOnce !== null)
        parts.push(`at most ${shown(count(found.atOnce))} at once`);
    if (found.maxRate !== null) parts.push(`at most ${shown(rateText(found.maxRate))} /s`);
    if (found.warmUp > 0) parts.push(`after ${planned(found.warmUp)} of warm-up`);
    return parts.join(", ");
}

/** Where requests go, in few words. */
export function hostsOf(spec: Spec): string {
    const urls = Array.isArray(spec.endpoints) ? spec.endpoints.map((endpoint) => endpoint?.url) : [firstUrl(spec)];
    const hosts = [
        ...new Set(
            urls
                .filter((url): url is string => typeof url === "string")
                .map((url) => hostOf(url, spec))
                .filter(Boolean),
        ),
    ];
    const [first, second] = hosts;
    if (!first) return "";
    if (!second) return first;
    return hosts.length === 2 ? `${first} and ${second}` : `${first} and ${hosts.length - 1} more`;
}

function hostOf(url: string, spec: Spec): string {
    const variables = isObject(spec.variables) ? spec.variables : {};
    const whole = url.replace(/\{\{\s*([^{}|]+?)\s*\}\}/g, (text, name: string) =>
        typeof variables[name] === "string" ? variables[name] : text,
    );
    return /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]+)/i.exec(whole)?.[1] ?? "";
}

function present(value: unknown): boolean {
    return value !== undefined && value !== null;
}

function number(value: unknown): number | null {
    return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}

function positive(value: unknown): number | null {
    const found = number(value);
    return found === null || found === 0 ? null : found;
}

function wholeOf(value: unknown): number | null {
    const found = positive(value);
    return found !== null && Number.isInteger(found) ? found : null;
}
