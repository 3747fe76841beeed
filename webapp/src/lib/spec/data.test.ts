import { describe, expect, it } from "vitest";

import {
    asFile,
    asRows,
    columnsOf,
    columnsText,
    isFileSource,
    layoutOf,
    sourcesOf,
    withNewSource,
    withoutSource,
    withRenamedSource,
    writtenColumns,
    writtenRows,
} from "./data";
import { usable } from "./scenarios";
import type { Spec } from "./spec";

const spec: Spec = {
    data: {
        accounts: { file: "accounts.csv", per: "user", pick: "once" },
        words: "words.txt",
        rows: [{ q: "a", n: 1 }],
    },
    setup: [{ GET: "/seed", extract: { seed: "$.id" } }],
    teardown: [{ GET: "/drop" }],
    scenarios: {
        buy: {
            before_user: [{ POST: "/login?{{accounts.name}}", extract: { token: "$.token" } }],
            steps: [{ GET: "/{{ accounts.name }}/{{accounts2.name}}" }, { GET: "/" }],
        },
    },
};

describe("sources of test data", () => {
    it("are read in each way to write them", () => {
        expect(sourcesOf(spec)).toEqual([
            ["accounts", { file: "accounts.csv", per: "user", pick: "once" }],
            ["words", { file: "words.txt" }],
            ["rows", { rows: [{ q: "a", n: 1 }] }],
        ]);
        expect(sourcesOf({})).toEqual([]);
    });

    it("are added with a free name, and removed with what is empty then", () => {
        const first = withNewSource({}, "");
        expect(first.name).toBe("accounts");
        expect(isFileSource(sourcesOf(first.spec)[0]?.[1] ?? {})).toBe(false);
        const second = withNewSource(first.spec, "logins.csv");
        expect(second.spec.data?.accounts_2).toEqual({ file: "logins.csv" });
        expect(withoutSource(first.spec, "accounts")).toEqual({});
        expect(Object.keys(withoutSource(second.spec, "accounts").data ?? {})).toEqual(["accounts_2"]);
    });

    it("keep their place, and are used by their new name, when they are renamed", () => {
        const renamed = withRenamedSource(spec, "accounts", "users");
        expect(Object.keys(renamed.data ?? {})).toEqual(["users", "words", "rows"]);
        expect(renamed.scenarios).toEqual({
            buy: {
                before_user: [{ POST: "/login?{{users.name}}", extract: { token: "$.token" } }],
                steps: [{ GET: "/{{ users.name }}/{{accounts2.name}}" }, { GET: "/" }],
            },
        });
    });

    it("become a file or rows, and stay used as they were", () => {
        const source = { file: "a.csv", separator: ";", per: "user" };
        expect(asRows(source)).toEqual({ rows: [{ name: "ada" }, { name: "bob" }], per: "user" });
        expect(asFile({ rows: [], per: "user" }, "b.csv")).toEqual({ file: "b.csv", per: "user" });
    });

    it("show the columns and rows that the spec itself has", () => {
        const source = { rows: [{ name: "ada", tags: ["a"] }, { name: "bob" }] };
        expect(writtenColumns(source)).toEqual(["name", "tags"]);
        expect(writtenRows(source, 5)).toEqual([
            ["ada", '["a"]'],
            ["bob", ""],
        ]);
        expect(writtenRows({ columns: ["a", "b"], rows: [["x", 1]] }, 5)).toEqual([["x", "1"]]);
        expect(columnsOf(" a, b ,")).toEqual(["a", "b"]);
        expect(columnsOf(" , ")).toBeUndefined();
        expect(columnsText(["a", "b"])).toBe("a, b");
    });

    it("are read again when the way to read them differs", () => {
        const source = { file: "a.csv", separator: ";", columns: ["x"] };
        expect(layoutOf(source).query).toEqual({ format: undefined, separator: ";", columns: ["x"] });
        expect(layoutOf(source).key).not.toBe(layoutOf({ file: "a.csv" }).key);
        expect(layoutOf({ file: "a.csv", per: "user" }).key).toBe(layoutOf({ file: "a.csv" }).key);
    });
});

describe("names that can be used", () => {
    const columns = { accounts: ["name", "password"] };

    it("are those of columns in scenarios, after what was extracted", () => {
        expect(usable(spec, ["scenarios", "buy", "steps", 1], columns)).toEqual([
            "token",
            "seed",
            "accounts.name",
            "accounts.password",
            "rows.q",
            "rows.n",
            "uuid",
            "random_int",
            "iteration",
            "user",
        ]);
    });

    it("are not those of columns before and after the load, which has no users there", () => {
        expect(usable(spec, ["setup", 0], columns)).toEqual(["uuid", "random_int"]);
        expect(usable(spec, ["teardown", 0], columns)).toEqual(["seed", "uuid", "random_int"]);
    });
});
