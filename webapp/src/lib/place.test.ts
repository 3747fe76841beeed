import { readdirSync, readFileSync } from "node:fs";

import { expect, it } from "vitest";

const SOURCES = new URL("..", import.meta.url);

it("no page names an address without the path that the server lives below", () => {
    const found = readdirSync(SOURCES, { recursive: true, encoding: "utf8" })
        .filter((name) => /\.(svelte|ts)$/.test(name) && !/\.test\.ts$|schema\.d\.ts$/.test(name))
        .flatMap((name) =>
            readFileSync(new URL(name, SOURCES), "utf8")
                .split("\n")
                .filter((line) => /(href=|href: |goto\(|fetch\()\{?["'`]\/(?!\/)/.test(line))
                .map((line) => `${name}: ${line.trim()}`),
        );
    expect(found).toEqual([]);
});
