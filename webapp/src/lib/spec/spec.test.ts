import { stillOmitted } from "$lib/state/draft";
import { describe, expect, it } from "vitest";

import type { LoadView } from "$lib/api/schema";

import { diffLines, hasChanged } from "./diff";
import { comparable, isSame, lineOf, parse, patched, render } from "./document";
import * as fields from "./fields";
import { asModel, asShape, loadOf, presetOf, PRESETS, withLoad, withPreset, withShape } from "./load";
import { freeName } from "./names";
import { inWords } from "./preview";
import { get, parsePath, pathText, set } from "./paths";
import { fieldOf, hintParts, marked, missingVariable, problemsAt, problemsOf, visible } from "./problems";
import { shownUrl, type Spec } from "./spec";

const SPEC: Spec = {
    name: "shop",
    url: "https://api.example.com/users",
    headers: { "X-A.b": "1", "X-A": "2" },
    load: { model: "open", rate: 50 },
    duration: "60s",
};

describe("places in a spec", () => {
    it("are read from the validator's text and written back", () => {
        for (const text of ["url", "endpoints[1].url", "load.stages[0].duration", "thresholds.expressions[2]"]) {
            expect(pathText(parsePath(text))).toBe(text);
        }
        expect(parsePath("spec.url")).toEqual(["url"]);
        expect(parsePath("url character 23")).toEqual(["url"]);
        expect(parsePath("")).toEqual([]);
    });

    it("may hold dots in names, where the spec says so", () => {
        expect(parsePath("headers.X-A.b character 1", SPEC)).toEqual(["headers", "X-A.b"]);
        expect(parsePath("headers.X-A", SPEC)).toEqual(["headers", "X-A"]);
    });

    it("are written without touching the rest, and removed with what is empty then", () => {
        const made = set<Spec>({}, ["load", "stages", 0, "target"], 5);
        expect(made).toEqual({ load: { stages: [{ target: 5 }] } });
        expect(set(SPEC, ["load", "rate"], undefined)).toEqual({ ...SPEC, load: { model: "open" } });
        expect(set<Spec>({ tls: { insecure: true } }, ["tls", "insecure"], undefined)).toEqual({});
        expect(set({ a: [1, 2, 3] }, ["a", 1], undefined)).toEqual({ a: [1, 3] });
        expect(Object.keys(set(SPEC, ["url"], "x"))).toEqual(Object.keys(SPEC));
    });

    it("cannot reach what every object inherits", () => {
        expect(get({}, ["constructor"])).toBeUndefined();
        const made = set<Record<string, unknown>>({}, ["__proto__", "x"], 1);
        expect(({} as { x?: unknown }).x).toBeUndefined();
        expect(Object.hasOwn(made, "__proto__")).toBe(true);
    });
});

describe("a URL as lists show it", () => {
    it("has the spec's own values, and nothing that is a secret or differs", () => {
        const variables = { base: "https://h:81/api", id: "7", trace: "a-{{uuid}}", api_key: "***" };
        const shown = (url: string): string => shownUrl({ variables, endpoints: [{ url }] });
        expect(shown("{{base}}/users/{{ id|raw }}")).toBe("https://h:81/api/users/7");
        expect(shown("{{base}}/{{uuid}}/{{trace}}/{{env:X}}/{{api_key}}")).toBe(
            "https://h:81/api/{{uuid}}/{{trace}}/{{env:X}}/{{api_key}}",
        );
        expect(shown("{{base}}/\\{{id}}")).toBe("https://h:81/api/\\{{id}}");
        expect(shownUrl({ url: "{{base}}/" })).toBe("{{base}}/");
    });
});

describe("problems", () => {
    const found = problemsOf(
        [
            {
                message: "{{foo}} is not defined",
                code: "unknown_variable",
                path: "url character 23",
                hint: 'Add `variables: {foo: "42"}` or so',
            },
            { message: "no duration", code: "bad_duration", path: "timeout_seconds", hint: "" },
            { message: "must be above 0", code: "out_of_range", path: "requests_per_second", hint: "" },
            { message: "name must have", code: "wrong_length", path: "name", hint: "" },
        ],
        SPEC,
    );

    it("stand at the field that they are about, however it was spelled", () => {
        expect(found.map((each) => fieldOf(each.path))).toEqual(["url", "timeout", "load.rate", "name"]);
        expect(problemsAt(found, "timeout")).toHaveLength(1);
    });

    it("are not shown before their field was left, or continue was pressed", () => {
        expect(visible(found, new Set(), false)).toEqual([]);
        expect(visible(found, new Set(["url"]), false).map((each) => each.where)).toEqual(["url character 23"]);
        expect(visible(found, new Set(["load"]), false)).toHaveLength(1);
        expect(visible(found, new Set(), true)).toHaveLength(4);
    });

    it("mark the names that are not defined, and no others", () => {
        expect(marked("{{base}}/{{foo}}?a={{ foo |raw}}{{", ["foo"])).toEqual([
            { text: "{{base}}", unknown: false },
            { text: "/", unknown: false },
            { text: "{{foo}}", unknown: true },
            { text: "?a=", unknown: false },
            { text: "{{ foo |raw}}", unknown: true },
            { text: "{{", unknown: false },
        ]);
        expect(marked("", ["foo"])).toEqual([]);
    });

    it("say what can be typed, and which variable is missing", () => {
        expect(
            hintParts("Add `a: 1` or `b`")
                .filter((part) => part.typed)
                .map((part) => part.text),
        ).toEqual(["a: 1", "b"]);
        expect(found.map(missingVariable)).toEqual(["foo", null, null, null]);
    });
});

describe("a load in one sentence", () => {
    const even = { arrival: "even", most_at_once: null, most_rate: null, total_requests: null } as const;
    const ahead = (more: Partial<LoadView["forecast"]>): LoadView["forecast"] => ({
        warm_up_seconds: 0,
        seconds: 60,
        requests: 3000,
        peak: 50,
        points: [],
        phases: [],
        most_seconds: 60,
        most_requests: 3000,
        ...more,
    });
    const said = (spec: Spec, load: Partial<LoadView>): string =>
        inWords(spec, { model: "open", ...even, forecast: ahead({}), ...load }).replaceAll("\u202f", " ");

    it("names requests, time, target and limits", () => {
        expect(said(SPEC, {})).toBe("3 000 requests in 1 min to api.example.com");
        const users = { model: "closed", forecast: ahead({ seconds: 30, requests: null, peak: 10 }) } as const;
        expect(said({ url: "http://a.b:8/x" }, users)).toBe("10 users for 30 s to a.b:8");
        const one = { model: "closed", forecast: ahead({ seconds: null, requests: 5, peak: 1 }) } as const;
        expect(said({ url: "http://a/" }, one)).toBe("5 requests to a, by 1 user");
        expect(
            said(SPEC, {
                arrival: "poisson",
                most_at_once: 64,
                forecast: ahead({ requests: 300, warm_up_seconds: 2 }),
            }),
        ).toBe("about 300 requests in 1 min to api.example.com, at most 64 at once, after 2 s of warm-up");
        expect(inWords(SPEC, null)).toBe("");
    });

    it("names several targets", () => {
        const spec = { endpoints: [{ url: "{{base}}/a" }, { url: "http://c/" }], variables: { base: "http://b" } };
        const second = { forecast: ahead({ seconds: 1, requests: 1, peak: 1 }) };
        expect(said(spec, second)).toBe("1 request in 1 s to b and c");
    });
});

describe("the load of a form", () => {
    it("is lifted out of the flat fields, which then go", () => {
        const flat: Spec = { name: "x", requests_per_second: 5, concurrency: 8 };
        expect(loadOf(flat)).toEqual({ model: "open", rate: 5, max_in_flight: 8 });
        expect(withLoad(flat, { rate: 6 })).toEqual({ name: "x", load: { rate: 6 } });
        expect(loadOf({})).toEqual({ model: "closed", users: 10 });
    });

    it("changes its model and shape without keeping what does not belong there", () => {
        expect(asModel({ rate: 5, arrival: "poisson", warm_up: "5s" }, "closed")).toEqual({
            model: "closed",
            users: 10,
            warm_up: "5s",
        });
        const staged = asShape({ rate: 80 }, "stages");
        expect(staged.rate).toBeUndefined();
        expect(staged.stages?.[0]).toEqual({ duration: "10s", target: 80 });
        expect(asShape(staged, "constant")).toEqual({ model: "open", rate: 80 });
    });

    it("drop the duration where stages take its place", () => {
        const staged = withLoad(SPEC, asShape(loadOf(SPEC), "stages"));
        expect(staged.duration).toBeUndefined();
        expect(withLoad({ ...staged, duration: "5m" }, asShape(loadOf(staged), "stages")).duration).toBe("5m");
    });

    it("knows the presets again", () => {
        for (const preset of PRESETS)
            expect(presetOf(withPreset({ ...SPEC, total_requests: 5 }, preset))).toBe(preset.id);
        expect(presetOf(SPEC)).toBe("custom");
    });
});

describe("fields", () => {
    it("keep what they cannot read as text", () => {
        expect(["50", " 1 000 ", "", "5x", "1e3", "0.5", "abc", "0x10"].map(fields.numberOf)).toEqual([
            50,
            1000,
            undefined,
            "5x",
            1000,
            0.5,
            "abc",
            16,
        ]);
        expect(["30 s", "5", "1m 30s", "", "x"].map(fields.durationOf)).toEqual([
            "30s",
            "5s",
            "1m 30s",
            undefined,
            "x",
        ]);
        expect(fields.statusesOf("200, 2xx  404")).toEqual([200, "2xx", 404]);
    });

    it("of names and values leave out rows without a name and mark repeated ones", () => {
        const rows = [
            { name: "Accept", value: "a" },
            { name: " ", value: "b" },
            { name: "accept", value: "c" },
        ];
        expect(fields.objectOf(rows)).toEqual({ Accept: "a", accept: "c" });
        expect([...fields.repeated(rows, true)]).toEqual([2]);
        expect(fields.repeated(rows, false).size).toBe(0);
        expect(fields.objectOf([])).toBeUndefined();
    });

    it("of headers keep those that are sent several times, and those that are removed", () => {
        const headers = { "X-A": ["1", "2"], "User-Agent": null, Accept: "*/*" };
        const rows = fields.rowsOf(headers);
        expect(rows).toEqual([
            { name: "X-A", value: "1" },
            { name: "X-A", value: "2" },
            { name: "User-Agent", value: "", removed: true },
            { name: "Accept", value: "*/*" },
        ]);
        expect(fields.objectOf(rows, true)).toEqual(headers);
        expect(fields.repeated(rows, true, true).size).toBe(0);
        const mixed = [...rows, { name: "user-agent", value: "x" }, { name: "Accept", value: "", removed: true }];
        expect([...fields.repeated(mixed, true, true)]).toEqual([4, 5]);
    });

    it("say on which line a body stops being JSON", () => {
        expect(fields.readJson('{"a": 1}').value).toEqual({ a: 1 });
        const wrong = fields.readJson('{\n  "a": 1,\n  b\n}');
        expect(wrong.mistake?.message).toContain("not valid JSON");
    });

    it("of thresholds read every form and write the shortest", () => {
        expect(fields.thresholdsOf(fields.rulesOf("p99 < 1s"))).toEqual(["p99 < 1s"]);
        const whole = {
            max_latency_p95_ms: 300,
            expressions: ["rps > 5", { expression: "p99 < 1s", abort: true, min_samples: 50 }],
        };
        expect(fields.thresholdsOf(fields.rulesOf(whole))).toEqual(whole);
        expect(fields.thresholdsOf(fields.rulesOf({}))).toBeUndefined();
    });

    it("of credentials keep what both types have", () => {
        expect(fields.asAuthType({ type: "basic", username: "u", password: "p" }, "oauth2_password_grant")).toEqual({
            type: "oauth2_password_grant",
            username: "u",
            password: "p",
        });
        expect(fields.asAuthType({ type: "basic" }, "")).toBeUndefined();
    });
});

describe("drafts", () => {
    it("hold no secret that is written out, and every one that is a template", () => {
        const { spec, omitted } = fields.withoutSecrets({
            url: "https://me:pw@host/x?token=hush&page=1&key={{env:K}}",
            headers: { Authorization: "Bearer abc", Accept: "x", Cookie: "s=1", "X-Api-Key": "{{env:K}}" },
            auth: { type: "api_key", key: "hush" },
            endpoints: [{ name: "a", auth: { type: "bearer_token", token: "{{env:T}}" } }],
            variables: { key: "v", accessToken: "hush" },
        });
        expect(spec).toEqual({
            url: "https://host/x?token=&page=1&key={{env:K}}",
            headers: { Authorization: "", Accept: "x", Cookie: "", "X-Api-Key": "{{env:K}}" },
            auth: { type: "api_key", key: "" },
            endpoints: [{ name: "a", auth: { type: "bearer_token", token: "{{env:T}}" } }],
            variables: { key: "v", accessToken: "" },
        });
        // Each has left its place behind, which has to be filled again.
        expect(omitted.map(({ path }) => path.join("."))).toEqual([
            "url",
            "headers.Authorization",
            "headers.Cookie",
            "auth.key",
            "variables.accessToken",
        ]);
        expect(stillOmitted(spec, omitted)).toHaveLength(5);
        expect(stillOmitted({ ...spec, url: "https://me:pw@host/x", headers: {} }, omitted)).toHaveLength(2);
    });
});

describe("constant and stages", () => {
    it("last as long as before, and no duration cuts stages off", () => {
        const constant: Spec = { url: "http://a/", load: { model: "open", rate: 20 }, duration: "5m" };
        const staged = withShape(constant, "stages");
        expect(staged.duration).toBeUndefined();
        expect(staged.load?.stages?.map((stage) => stage.duration)).toEqual(["10s", "5m", "10s"]);
        const back = withShape(staged, "constant");
        expect(back).toMatchObject({ duration: "320s", load: { model: "open", rate: 20 } });
        expect(withShape(back, "constant")).toBe(back);
    });
});

describe("one URL and several", () => {
    it("become each other", () => {
        const several = fields.asSeveral({ ...SPEC, method: "POST", body: { a: 1 } });
        expect(several.endpoints).toEqual([{ name: "POST /users", url: SPEC.url, method: "POST", body: { a: 1 } }]);
        expect(several.url).toBeUndefined();
        expect(fields.asSingle(several)).toEqual({ ...SPEC, method: "POST", body: { a: 1 } });
        expect(freeName("a", ["a", "a 2"])).toBe("a 3");
    });

    it("are not needed to know curl", () => {
        expect(["curl x", "  $ curl -k y", "curl.exe z"].every(fields.isCurl)).toBe(true);
        expect(fields.isCurl("https://curl.se/")).toBe(false);
    });
});

describe("a spec as text", () => {
    it("is the same in YAML and JSON, in the order of people", () => {
        for (const format of ["yaml", "json"] as const) {
            const text = render({ duration: "5s", url: "u", name: "n", zzz: 1 } as Spec, format);
            expect(parse(text).spec).toEqual({ name: "n", url: "u", duration: "5s", zzz: 1 });
            expect(text.indexOf("name")).toBeLessThan(text.indexOf("url"));
        }
        expect(render({}, "yaml")).toBe("");
    });

    it("says where it cannot be read, and never guesses", () => {
        expect(parse("name: x\nload: {rate: 5").problem).toMatchObject({ line: 2 });
        expect(parse("a: 1\na: 2").problem?.line).toBe(2);
        expect(parse("just text").problem?.message).toContain("fields with values");
        expect(parse("").spec).toEqual({});
        expect(parse("seed: 1\nname: x\nother: 18446744073709551615").problem).toMatchObject({ line: 3 });
        expect(parse("seed: 5").spec).toEqual({ seed: 5 });
    });

    it("knows on which line a field stands", () => {
        const text = "name: x\nload:\n  stages:\n    - duration: 5s\n      target: 1\n    - duration: 3x\n";
        expect(lineOf(text, ["load", "stages", 1, "duration"])).toBe(6);
        expect(lineOf(text, ["load", "stages", 1, "target"])).toBe(6);
        expect(lineOf(text, ["url"])).toBeNull();
    });

    it("keeps its comments when the form changes a value", () => {
        const text = "# ours\nname: x # the name\nload:\n  rate: 5 # per second\nheaders:\n  A: b\n";
        const changed = patched(
            text,
            { name: "x", load: { rate: 6, stages: [{ duration: "1s", target: 2 }] }, url: "u" } as Spec,
            "yaml",
        );
        expect(changed).toContain("# ours");
        expect(changed).toContain("rate: 6 # per second");
        expect(changed).not.toContain("headers");
        expect(parse(changed).spec).toEqual({
            name: "x",
            load: { rate: 6, stages: [{ duration: "1s", target: 2 }] },
            url: "u",
        });
    });

    it("is compared without regard to order", () => {
        expect(isSame({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 })).toBe(true);
        expect(isSame({ a: 1 }, { a: 1, b: undefined })).toBe(false);
        expect(isSame([1, 2], [2, 1])).toBe(false);
    });
});

describe("a difference", () => {
    it("is none where two specs say the same in other words", () => {
        const written: Spec = {
            url: "u",
            name: "n",
            duration: "1m30s",
            timeout_seconds: 5,
            thresholds: ["p99 < 1s"],
            load: { rate: 5, warm_up: "5s" },
            headers: { timeout: "5" },
        };
        const stored: Spec = {
            name: "n",
            url: "u",
            duration: 90,
            timeout: 5,
            thresholds: { expressions: [{ expression: "p99 < 1s" }] },
            load: { rate: 5, warm_up: 5 },
            headers: { timeout: "5" },
        };
        expect(render(comparable(written), "yaml")).toBe(render(comparable(stored), "yaml"));
        expect(isSame(comparable(written), comparable({ ...stored, duration: 91 }))).toBe(false);
    });

    it("has every line of both, in order", () => {
        const [a, b] = ["a\nb\nc\nd\n", "a\nx\nc\nd\ne\n"];
        const diff = diffLines(a, b, 99);
        expect(
            diff
                .filter((line) => line.kind !== "added")
                .map((line) => line.text)
                .join("\n"),
        ).toBe(a.trim());
        expect(
            diff
                .filter((line) => line.kind !== "removed")
                .map((line) => line.text)
                .join("\n"),
        ).toBe(b.trim());
        expect(diff.map((line) => line.kind)).toEqual(["same", "removed", "added", "same", "same", "added"]);
        expect(hasChanged(diffLines(a, a))).toBe(false);
    });

    it("folds what has not changed, and says how much that was", () => {
        const lines = Array.from({ length: 30 }, (_, index) => `line ${index}`);
        const diff = diffLines(lines.join("\n"), lines.with(15, "other").join("\n"), 2);
        expect(diff.filter((line) => line.kind === "skipped").map((line) => line.text)).toEqual([
            "13 lines as before",
            "12 lines as before",
        ]);
    });

    it("of anything puts it back together", () => {
        const letters = "abc";
        for (let seed = 1; seed < 200; seed += 1) {
            let state = seed;
            const next = (): number => (state = (state * 1_103_515 + 12_345) % 2_147_483_647);
            const make = (): string[] => Array.from({ length: next() % 9 }, () => letters[next() % 3] as string);
            const [a, b] = [make(), make()];
            if (isSame(a, b)) continue;
            const diff = diffLines(a.join("\n"), b.join("\n"), 99);
            expect(diff.filter((line) => line.kind !== "added").map((line) => line.text)).toEqual(a);
            expect(diff.filter((line) => line.kind !== "removed").map((line) => line.text)).toEqual(b);
        }
    });
});
