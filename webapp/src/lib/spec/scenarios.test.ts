import { describe, expect, it } from "vitest";

import { checkPath, checkRows, checksOf, newCheck } from "./checks";
import { parse, patched, render } from "./document";
import { extractRows, extractsOf, newExtract } from "./extracts";
import { withoutSecrets } from "./fields";
import { inWords } from "./preview";
import { asKind, extractedBefore, kindOf, usable, withOneLoad, withOwnLoads } from "./scenarios";
import { type Spec, targetsOf } from "./spec";
import {
    branchesOf,
    duplicated,
    moved,
    newStep,
    renamed,
    requestOf,
    requestsIn,
    stepKind,
    withMethod,
    withUrl,
} from "./steps";

const JOURNEY: Spec = {
    name: "shop",
    base_url: "https://shop.example.com/api",
    variables: { size: "20" },
    data: { queries: { columns: ["word"], rows: [["lamp"]] } },
    blocks: { look: [{ GET: "/products/{{product}}", name: "open", extract: { stock: "$.stock" } }] },
    scenarios: {
        order: {
            headers: { Accept: "application/json" },
            pace: "30s",
            steps: [
                { POST: "/login", json: { password: "hush" }, extract: { token: { json: "$.token", secret: true } } },
                { GET: "/products", name: "list", extract: { product: "$.items[*].id | random" } },
                { think: "1s..2s" },
                { use: "look" },
                { repeat: 2, steps: [{ url: "/cart", method: "POST", name: "cart", extract: { cart: "$.id" } }] },
                {
                    when: "stock > 0",
                    steps: [{ POST: "/orders", name: "order" }],
                    otherwise: [{ GET: "/", name: "home" }],
                },
                { choose: [{ weight: 2, steps: [] }, { steps: [{ DELETE: "/cart", name: "empty" }] }] },
                { call: "shop:pay" },
                { GET: "/both", think: "1s" },
            ],
        },
    },
};
const STEPS = (JOURNEY.scenarios?.order as { steps: Record<string, unknown>[] }).steps;

describe("the steps of a scenario", () => {
    it("are known by their action; what is not one action stays as it is", () => {
        const kinds = ["request", "request", "think", "use", "repeat", "when", "choose", "other", "other"];
        expect(STEPS.map(stepKind)).toEqual(kinds);
        expect(stepKind("text")).toBe("other");
        for (const kind of ["request", "think", "repeat", "while", "when", "choose", "use"] as const) {
            expect(stepKind(newStep(kind))).toBe(kind);
        }
    });

    it("keep the form in which a request is written, and the place of its keys", () => {
        const short = { name: "a", GET: "/x", checks: ["status == 200"] };
        expect(requestOf(short)).toEqual({ method: "GET", url: "/x", key: "GET" });
        expect(Object.entries(withMethod(short, "POST"))[1]).toEqual(["POST", "/x"]);
        expect(withMethod(short, "PURGE")).toEqual({
            name: "a",
            url: "/x",
            method: "PURGE",
            checks: ["status == 200"],
        });
        expect(withMethod({ url: "/x", method: "PUT" }, "")).toEqual({ url: "/x" });
        expect(withMethod({ url: "/x" }, "GET")).toEqual({ url: "/x", method: "GET" });
        expect(withUrl(short, "")).toEqual({ ...short, GET: "" });
        expect(Object.keys(renamed({ a: 1, b: 2, c: 3 }, "b", "x"))).toEqual(["a", "x", "c"]);
    });

    it("are moved within their list, and copied with names of their own", () => {
        expect(moved([1, 2, 3], 0, 1)).toEqual([2, 1, 3]);
        expect(moved([1, 2, 3], 2, 1)).toEqual([1, 2, 3]);
        expect(moved([1, 2, 3], 2, -2)).toEqual([3, 1, 2]);
        const twice = duplicated(STEPS, 5, ["order", "home"]);
        expect(requestsIn([twice[6]]).map((step) => step.name)).toEqual(["order 2", "home 2"]);
        expect(twice[5]).toBe(STEPS[5]);
        expect(requestsIn(STEPS)).toHaveLength(6);
    });

    it("lead to the lists of steps inside them", () => {
        expect(STEPS.map((step) => branchesOf(step).map(({ path }) => path.join(".")))).toEqual([
            [], [], [], [], ["steps"], ["steps", "otherwise"], ["choose.0.steps", "choose.1.steps"], [], [],
        ]); // prettier-ignore
    });
});

describe("the ways to write requests", () => {
    it("are changed into each other with their requests", () => {
        const one: Spec = {
            url: "https://h.example/users?a=1",
            method: "POST",
            body: { a: 1 },
            headers: { Accept: "x" },
            load: { users: 2 },
        };
        const journey = asKind(one, "scenarios");
        expect(journey).toEqual({
            base_url: "https://h.example",
            headers: { Accept: "x" },
            load: { users: 2 },
            scenarios: { journey: { steps: [{ POST: "/users?a=1", body: { a: 1 } }] } },
        });
        expect(asKind(journey, "one")).toEqual(one);
        expect(asKind(asKind(journey, "several"), "one")).toEqual(one);
        expect(asKind({}, "scenarios")).toEqual({ scenarios: { journey: { steps: [{ GET: "" }] } } });
        expect(kindOf(asKind(asKind({}, "scenarios"), "one"))).toBe("one");
        expect(asKind(JOURNEY, "scenarios")).toBe(JOURNEY);
    });

    it("keep the names of endpoints, and hosts that differ", () => {
        const several: Spec = {
            endpoints: [
                { name: "a", url: "https://a.example/", weight: 2 },
                { name: "b", url: "https://b.example/x", method: "DELETE", checks: ["status == 204"] },
            ],
            distribution_strategy: "weighted",
        };
        const journey = asKind(several, "scenarios");
        expect(journey.base_url).toBeUndefined();
        expect(journey.scenarios).toEqual({
            journey: {
                steps: [
                    { GET: "https://a.example/", name: "a" },
                    { DELETE: "https://b.example/x", name: "b", checks: ["status == 204"] },
                ],
            },
        });
        expect(asKind(JOURNEY, "several").endpoints).toMatchObject([
            {
                name: "POST /api/login",
                url: "https://shop.example.com/api/login",
                headers: { Accept: "application/json" },
            },
            { name: "list" },
            { name: "cart", method: "POST" },
            { name: "order" },
            { name: "home" },
            { name: "empty", method: "DELETE" },
        ]);
    });

    it("survive the text, comments and unknown parts included", () => {
        expect(parse(render(JOURNEY, "yaml")).spec).toEqual(JOURNEY);
        const text = "# a journey\nscenarios:\n  a:\n    steps:\n      - GET: /x # first\n      - call: own\n";
        const { spec } = parse(text);
        const steps = [{ GET: "/y" }, { call: "own" }];
        expect(patched(text, { ...spec, scenarios: { a: { steps } } }, "yaml")).toBe(text.replace("/x", "/y"));
    });

    it("say where the load goes", () => {
        expect(targetsOf(JOURNEY, "")).toBe("https://shop.example.com");
        expect(inWords(JOURNEY, null)).toBe("");
        const forecast = { warm_up_seconds: 0, seconds: 5, requests: null, peak: 5, points: [], phases: [] };
        const limits = { most_at_once: null, most_rate: null, total_requests: null };
        const mixed = {
            model: "mixed" as const,
            arrival: "even" as const,
            ...limits,
            forecast: { ...forecast, most_seconds: 5, most_requests: null },
        };
        expect(inWords(JOURNEY, mixed)).toMatch(/^up to 5\S* iterations \/s, and users beside them, for 5 s to shop/);
    });
});

describe("the load of scenarios", () => {
    it("is one for all or one for each, and never both", () => {
        const steps = [{ GET: "/" }];
        const shared: Spec = {
            load: { rate: 5 },
            scenarios: { a: { weight: 2, steps }, b: { steps } },
            duration: "5s",
        };
        const own = withOwnLoads(shared);
        expect(own).toEqual({
            scenarios: { a: { load: { rate: 5 }, steps }, b: { load: { rate: 5 }, steps } },
            duration: "5s",
        });
        expect(withOneLoad(own)).toEqual({
            load: { rate: 5 },
            scenarios: { a: { steps }, b: { steps } },
            duration: "5s",
        });
        const later = { load: { users: 1 }, start_after: "1s", duration: "1s", steps };
        expect(withOneLoad({ scenarios: { a: later } })).toEqual({ load: { users: 1 }, scenarios: { a: { steps } } });
    });
});

describe("the variables of a step", () => {
    it("are those of the steps before it, of blocks and loops too", () => {
        const before = (...rest: (string | number)[]): string[] =>
            extractedBefore(JOURNEY, ["scenarios", "order", "steps", ...rest]);
        expect(before(0)).toEqual([]);
        expect(before(2)).toEqual(["token", "product"]);
        expect(before(5, "steps", 0)).toEqual(["token", "product", "stock", "cart"]);
        expect(extractedBefore(JOURNEY, ["blocks", "look", 0])).toContain("token");
        expect(usable(JOURNEY, ["scenarios", "order", "steps", 1])).toEqual([
            "token", "size", "queries.word", "uuid", "random_int", "iteration", "user",
        ]); // prettier-ignore
        expect(usable({ variables: { a: "1" } }, [])).toEqual(["a", "uuid", "random_int", "request_number"]);
    });
});

describe("extracts", () => {
    const ALL = {
        id: "$.items[?@.a == 'x|y'].id | random",
        where: "header Location",
        session: "cookie session | default none",
        found: 'regex "a|b\\"([0-9]+)" | last | default 0',
        code: "status",
        text: "body",
        empty: '$.a | default ""',
        digits: '$.a | default "1"',
        words: '$.a | default "two words"',
        token: { json: "$.token", secret: true },
        long: { header: "X-A", pick: "all", default: { a: 1 }, later: true },
    };

    it("are read into fields and written back as they were", () => {
        const rows = extractRows(ALL);
        expect(rows.map(({ source, pick, fallback }) => [source, pick, fallback])).toEqual([
            ["json", "random", null],
            ["header", "first", null],
            ["cookie", "first", "none"],
            ["regex", "last", "0"],
            ["status", "first", null],
            ["body", "first", null],
            ["json", "first", ""],
            ["json", "first", '"1"'],
            ["json", "first", "two words"],
            ["json", "first", null],
            ["header", "all", '{"a":1}'],
        ]);
        expect(extractsOf(rows)).toEqual(ALL);
    });

    it("stay as written where they are not understood", () => {
        const odd = {
            a: "$.x | second",
            b: "nothing",
            c: "regex x",
            d: { json: "$.a", header: "b" },
            e: "status | last",
        };
        const rows = extractRows(odd);
        expect(rows.map((row) => row.source)).toEqual(["written", "written", "written", "written", "written"]);
        expect(extractsOf(rows)).toEqual(odd);
    });

    it("are written as one line, in long form where they are secret, and not without a name", () => {
        const row = { ...newExtract(), name: "t", text: "$.t" };
        expect(extractsOf([row, newExtract()])).toEqual({ t: "$.t" });
        expect(extractsOf([{ ...row, pick: "count", fallback: "a b" }])).toEqual({ t: '$.t | count | default "a b"' });
        expect(extractsOf([{ ...row, secret: true }])).toEqual({ t: { json: "$.t", secret: true } });
        expect(extractsOf([{ ...row, source: "status", pick: "last" }])).toEqual({ t: "status" });
        expect(extractsOf([])).toBeUndefined();
    });

    it("are no secrets, whatever they are called", () => {
        const { spec, omitted } = withoutSecrets(JOURNEY);
        expect(omitted.map(({ path }) => path.join("."))).toEqual(["scenarios.order.steps.0.json.password"]);
        expect(JSON.stringify(spec)).toContain("$.token");
    });
});

describe("checks", () => {
    it("are a list or a map, as they were written, and as short as they can be", () => {
        for (const written of [
            ["status == 200", { check: "time < 1s", counts_only: true }],
            { accepted: "status == 202", fast: { check: "time < 1s", counts_only: true } },
            ["status == 200", { check: "$.a exists", name: "has a", later: 1 }],
        ]) {
            expect(checksOf(checkRows(written))).toEqual(written);
        }
        expect(checksOf(checkRows("status == 200"))).toEqual(["status == 200"]);
        expect(checksOf([])).toBeUndefined();
    });

    it("become a map once each has a name of its own, and a list again without", () => {
        const rows = [{ ...newCheck("status == 200"), name: "ok" }, newCheck("time < 1s")];
        expect(checksOf(rows)).toEqual([{ check: "status == 200", name: "ok" }, "time < 1s"]);
        const named = rows.map((row, index) => ({ ...row, name: `c${index}` }));
        expect(checksOf(named)).toEqual({ c0: "status == 200", c1: "time < 1s" });
        expect(checkPath(["checks"], checksOf(named), 1, named)).toEqual(["checks", "c1"]);
        expect(checkPath(["checks"], checksOf(rows), 1, rows)).toEqual(["checks", 1]);
        // A whole number as a name would change its place in a map.
        expect(Array.isArray(checksOf([{ ...newCheck("status == 200"), name: "200" }]))).toBe(true);
    });
});
