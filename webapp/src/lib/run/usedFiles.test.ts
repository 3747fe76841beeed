import { expect, test } from "vitest";

import type { RunResult } from "$lib/api/schema";

import { usedFiles } from "./usedFiles";

const spec = { data: { accounts: { file: "accounts.csv" }, words: "words.txt", inline: [{ a: 1 }] } };
const files = { "accounts.csv": "aa", "words.txt": "bb", "photo.png": "cc" };

test("a file of test data has the rows of its source", () => {
    const figures = { used: 1, repeated: 0, used_up_second: null };
    const data: RunResult["data"] = [
        { name: "accounts", rows: 20, ...figures },
        { name: "words", rows: 1, ...figures },
    ];
    expect(usedFiles({ files, spec }, { data })).toEqual([
        { name: "accounts.csv", digest: "aa", note: "20 rows of accounts" },
        { name: "words.txt", digest: "bb", note: "1 row of words" },
        { name: "photo.png", digest: "cc", note: "" },
    ]);
});

test("a run in progress has no rows yet", () => {
    expect(usedFiles({ files, spec }, null).map(({ note }) => note)).toEqual(["of accounts", "of words", ""]);
});
