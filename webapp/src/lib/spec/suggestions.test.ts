import { describe, expect, it } from "vitest";

import { begun, completion, suggested } from "./suggestions";

describe("names for a {{…}} that is being written", () => {
    it("are offered between its braces only", () => {
        expect(begun("/a/{{", 5)).toBe("");
        expect(begun("/a/{{ pro", 9)).toBe("pro");
        expect(begun("{{data.co", 9)).toBe("data.co");
        expect(begun("{{a}}", 5)).toBeNull();
        expect(begun("{ {a", 4)).toBeNull();
        expect(begun("{{a|url", 7)).toBeNull();
    });

    it("fit what was begun, the nearest first", () => {
        expect(suggested(["my_id", "id", "user"], "ID")).toEqual(["id", "my_id"]);
        expect(suggested(["a", "b"], "")).toEqual(["a", "b"]);
        expect(suggested(["a"], "x")).toEqual([]);
    });

    it("take the place of what was begun, and of braces that are there", () => {
        const put = (text: string, cursor: number): string => {
            const { from, to, by } = completion(text, cursor, "id");
            return text.slice(0, from) + by + text.slice(to);
        };
        expect(put("/a/{{i", 6)).toBe("/a/{{id}}");
        expect(put("/a/{{i}}/b", 6)).toBe("/a/{{id}}/b");
        expect(put("{{x}}/{{", 8)).toBe("{{x}}/{{id}}");
    });
});
