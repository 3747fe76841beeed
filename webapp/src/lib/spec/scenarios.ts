// Scenarios of a spec: its other ways to write requests, and the variables that its steps can use. Pure.
import { sourcesOf, writtenColumns } from "./data";
import { asSeveral, asSingle, nameFor, textOf } from "./fields";
import { loadOf } from "./load";
import { freeName } from "./names";
import { get, isObject, omit, type Path } from "./paths";
import type { Spec } from "./spec";
import { branchesOf, requestOf, requestsIn, SHORT_METHODS, type Step, stepKind } from "./steps";

/** How the requests of a spec are written. */
export type Kind = "one" | "several" | "scenarios";

export function kindOf(spec: Spec): Kind {
    if (isObject(spec.scenarios)) return "scenarios";
    return Array.isArray(spec.endpoints) ? "several" : "one";
}

/** A spec of one URL or of several endpoints as one with a scenario that sends the same requests, one after the other. */
export function asScenarios(spec: Spec): Spec {
    const { url, method, headers, body, expect_body, endpoints, ...rest } = omit(spec, "distribution_strategy");
    const { checks, json, form, ...shared } = rest;
    const requests: Step[] = Array.isArray(endpoints)
        ? endpoints.map((endpoint) => omit({ ...endpoint }, "weight"))
        : [{ url, method, body, json, form, expect_body, checks }];
    const base = spec.base_url ?? sharedBase(requests.map((request) => textOf(request.url)));
    const steps = requests.map((request) => stepOf({ ...request, url: relative(textOf(request.url), base) }));
    const written = { ...shared, base_url: base, headers, scenarios: { journey: { steps } } };
    return Object.fromEntries(Object.entries(written).filter(([, value]) => value !== undefined));
}

/** The origin (or the `{{variable}}` in its place) with which all URLs begin; undefined where they differ. */
function sharedBase(urls: readonly string[]): string | undefined {
    const found = new Set(urls.map((url) => /^([a-z][a-z0-9+.-]*:\/\/[^/?#]+|\{\{[^{}]+\}\})(?=\/|$)/i.exec(url)?.[0]));
    const [base, ...more] = found;
    return more.length ? undefined : base;
}

function relative(url: string, base: string | undefined): string {
    return base !== undefined && url.startsWith(base) && /^(\/|$)/.test(url.slice(base.length))
        ? url.slice(base.length) || "/"
        : url;
}

/** A request in short form, where its method has one. */
function stepOf(request: Step): Step {
    const { name, url, method, ...rest } = request;
    const verb = textOf(method) || "GET";
    const line = (SHORT_METHODS as readonly string[]).includes(verb)
        ? { [verb]: textOf(url) }
        : { url: textOf(url), method: verb };
    const written = Object.entries({ ...line, name, ...rest }).filter(([, value]) => value !== undefined);
    return Object.fromEntries(written);
}

/** The requests of all scenarios as endpoints; what only a scenario has goes. */
export function asEndpoints(spec: Spec): Spec {
    const { base_url, ...rest } = omit(spec, "scenarios", "blocks", "data", "setup", "teardown");
    const base = textOf(base_url).replace(/\/$/, "");
    const found = scenariosOf(spec).flatMap(([, scenario]) =>
        requestsIn(scenario.steps).map((step) => under(scenario, step)),
    );
    const names: string[] = [];
    const endpoints = found.map((step) => {
        const { method, url: written, key } = requestOf(step);
        const url = written.startsWith("/") ? base + written : written;
        const name = freeName(textOf(step.name) || (url ? nameFor(url, method || "GET") : "endpoint 1"), names);
        names.push(name);
        const others = omit(step, key, "name", "method", "extract", "on_fail");
        return { name, url, ...(method && method !== "GET" ? { method } : {}), ...others };
    });
    return { ...rest, endpoints: endpoints.length ? endpoints : [{ name: "endpoint 1", url: "" }] } as Spec;
}

/** A step with what its scenario says of all of its requests. */
function under(scenario: Step, step: Step): Step {
    const headers = {
        ...(isObject(scenario.headers) ? scenario.headers : {}),
        ...(isObject(step.headers) ? step.headers : {}),
    };
    const shared = Object.entries({
        auth: scenario.auth,
        timeout: scenario.timeout,
        expected_status_codes: scenario.expected_status_codes,
    }).filter(([, value]) => value !== undefined);
    return { ...Object.fromEntries(shared), ...step, ...(Object.keys(headers).length ? { headers } : {}) };
}

/** The spec written in another way; its requests stay as far as that way has room for them. */
export function asKind(spec: Spec, kind: Kind): Spec {
    const before = kindOf(spec);
    if (before === kind) return spec;
    if (kind === "scenarios") return asScenarios(spec);
    const flat = before === "scenarios" ? asEndpoints(spec) : spec;
    if (kind === "several") return before === "scenarios" ? flat : asSeveral(spec);
    return asSingle(flat);
}

export function scenariosOf(spec: Spec): [string, Step][] {
    return Object.entries(isObject(spec.scenarios) ? spec.scenarios : {}).map(([name, scenario]) => [
        name,
        isObject(scenario) ? scenario : {},
    ]);
}

// Loads of scenarios

/** Each scenario with a load of its own: that of the spec, which goes. */
export function withOwnLoads(spec: Spec): Spec {
    const load = omit(loadOf(spec), "warm_up", "warm_up_level");
    const scenarios = scenariosOf(spec).map(([name, scenario]): [string, Step] => [
        name,
        { load: structuredClone(load), ...omit(scenario, "weight") },
    ]);
    const rest = omit(spec, "load", "concurrency", "requests_per_second", "total_requests");
    return { ...rest, scenarios: Object.fromEntries(scenarios) };
}

/** One load for all scenarios: that of the first. */
export function withOneLoad(spec: Spec): Spec {
    const [first] = scenariosOf(spec).flatMap(([, { load }]) => (isObject(load) ? [load] : []));
    const scenarios = scenariosOf(spec).map(([name, scenario]): [string, Step] => [
        name,
        omit(scenario, "load", "start_after", "duration"),
    ]);
    return { ...spec, ...(first ? { load: first } : {}), scenarios: Object.fromEntries(scenarios) };
}

// Variables

/** What `{{…}}` can name in every request of a scenario. */
const SCENARIO_BUILT_INS = ["uuid", "random_int", "iteration", "user"] as const;
const HOOK_BUILT_INS = ["uuid", "random_int"] as const;
const ENDPOINT_BUILT_INS = ["uuid", "random_int", "request_number"] as const;

/** Fields that hold a list of steps. */
const STEP_LISTS = new Set<string | number>(["steps", "otherwise", "before_user", "setup", "teardown"]);

/** The variables that are set before the step at `path`, or may be: in a block, all that the spec extracts. */
export function extractedBefore(spec: Spec, path: Path): string[] {
    if (path[0] === "blocks") return [...new Set(allSteps(spec).flatMap((steps) => extractsIn(spec, steps)))];
    // What a user extracts before its first iteration stays with it.
    const names = path[2] === "steps" ? extractsIn(spec, get(spec, [...path.slice(0, 2), "before_user"])) : [];
    let here: unknown = spec;
    path.forEach((part, depth) => {
        const isStep = STEP_LISTS.has(path[depth - 1] ?? "");
        if (isStep && Array.isArray(here) && typeof part === "number")
            names.push(...extractsIn(spec, (here as unknown[]).slice(0, part)));
        here = get(here, [part]);
    });
    return [...new Set(names)];
}

function allSteps(spec: Spec): unknown[] {
    return [...scenariosOf(spec).map(([, scenario]) => scenario.steps), ...Object.values(blocksOf(spec))];
}

function extractsIn(spec: Spec, steps: unknown, seen: readonly string[] = []): string[] {
    if (!Array.isArray(steps)) return [];
    return (steps as unknown[]).flatMap((step) => {
        if (!isObject(step)) return [];
        const kind = stepKind(step);
        if (kind === "request") return isObject(step.extract) ? Object.keys(step.extract) : [];
        const block = kind === "use" ? textOf(step.use) : "";
        if (block) return seen.includes(block) ? [] : extractsIn(spec, blocksOf(spec)[block], [...seen, block]);
        return branchesOf(step).flatMap((branch) => extractsIn(spec, get(step, branch.path), seen));
    });
}

export function blocksOf(spec: Spec): Record<string, unknown> {
    return isObject(spec.blocks) ? spec.blocks : {};
}

/** Columns of test data by the name of its source, as far as they were read from a file. */
export type Columns = Readonly<Record<string, readonly string[]>>;

/** `table.column` of the test data whose columns the spec itself names, or that were read from its file. */
export function dataNames(spec: Spec, columns: Columns = {}): string[] {
    return sourcesOf(spec).flatMap(([table, source]) => {
        const written = writtenColumns(source);
        const known = written.length ? written : (columns[table] ?? []);
        return known.map((column) => `${table}.${column}`);
    });
}

/** What can be written as `{{…}}` in a request at `path`: what earlier steps extract first, built-ins last. */
export function usable(spec: Spec, path: Path, columns: Columns = {}): string[] {
    const variables = isObject(spec.variables) ? Object.keys(spec.variables) : [];
    const isHook = path[0] === "setup" || path[0] === "teardown";
    const isScenario = kindOf(spec) === "scenarios";
    const builtIns = isHook ? HOOK_BUILT_INS : isScenario ? SCENARIO_BUILT_INS : ENDPOINT_BUILT_INS;
    const extracted = isScenario || isHook ? extractedBefore(spec, path) : [];
    const fromSetup = path[0] === "setup" ? [] : extractsIn(spec, spec.setup);
    // Rows belong to users and iterations, which setup and teardown do not have.
    const data = isScenario && !isHook ? dataNames(spec, columns) : [];
    return [...new Set([...extracted.toReversed(), ...fromSetup, ...variables, ...data, ...builtIns])];
}
