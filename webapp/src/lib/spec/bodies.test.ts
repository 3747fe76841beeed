import { describe, expect, it } from "vitest";

import { graphqlOf, partsObject, partsOf, requestBodyKind, withBodyKind } from "./bodies";

describe("the kind of a body", () => {
    it.each([
        [{}, "none"],
        [{ body: null }, "none"],
        [{ body: "text" }, "text"],
        [{ body: {} }, "json"],
        [{ json: [1] }, "json"],
        [{ form: { a: "1" } }, "form"],
        [{ multipart: {} }, "multipart"],
        [{ graphql: "{ items }" }, "graphql"],
        [{ file: "order.json" }, "file"],
    ])("of %j is %s", (request, kind) => {
        expect(requestBodyKind(request)).toBe(kind);
    });

    it("changes with what both kinds have in common, and leaves the rest of the request", () => {
        const request = { POST: "/orders", body: '{"n": 1}', compress: "gzip" };
        expect(withBodyKind(request, "json")).toEqual({ POST: "/orders", compress: "gzip", body: { n: 1 } });
        expect(withBodyKind({ POST: "/", body: "no JSON" }, "json")).toEqual({ POST: "/", body: {} });
        expect(withBodyKind({ POST: "/", json: [1] }, "text")).toEqual({ POST: "/", body: "[\n  1\n]" });
        expect(withBodyKind({ form: { a: "1" } }, "multipart")).toEqual({ multipart: { a: "1" } });
        expect(withBodyKind({ multipart: { a: "1", photo: { file: "p.png" } } }, "form")).toEqual({ form: { a: "1" } });
        expect(withBodyKind({ file: "a.json" }, "graphql")).toEqual({ graphql: { query: "" } });
        expect(withBodyKind({ POST: "/", graphql: "{ a }" }, "none")).toEqual({ POST: "/" });
        const same = { file: "a.json" };
        expect(withBodyKind(same, "file")).toBe(same);
    });
});

describe("parts of a multipart body", () => {
    const written = {
        title: "{{uuid}}",
        note: { value: "hi", type: "text/plain" },
        photo: { file: "photo.svg", filename: "p.svg", type: "image/svg+xml" },
    };

    it("are read and written back as they were", () => {
        expect(partsOf(written).map(({ name, isFile, value }) => [name, isFile, value])).toEqual([
            ["title", false, "{{uuid}}"],
            ["note", false, "hi"],
            ["photo", true, "photo.svg"],
        ]);
        expect(partsObject(partsOf(written))).toEqual(written);
    });

    it("without a name are not written", () => {
        expect(partsObject([{ name: " ", isFile: true, value: "a", type: "", filename: "" }])).toEqual({});
        expect(partsOf(undefined)).toEqual([]);
    });
});

it("a GraphQL request that is a text is its query", () => {
    expect(graphqlOf("{ a }")).toEqual({ query: "{ a }" });
    expect(graphqlOf({ query: "{ b }", variables: {} })).toEqual({ query: "{ b }", variables: {} });
});
