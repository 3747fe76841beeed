import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { anchor, docPages, linked, rendered } from "./docs";

test("a page becomes HTML with anchors, links that hold, and no script", () => {
    const source =
        "# A `guide`\n\n<script>alert(1)</script><img src=x onerror=alert(1)>\n\n" +
        "[spec](../reference/spec.md#load) [log](../../CHANGELOG.md) [far](https://example.com/)\n\n## Two words, and more\n";
    const { title, html } = rendered(source, "guide/dashboard");
    expect(title).toBe("A guide");
    expect(html).toContain('<h2 id="two-words-and-more">');
    expect(html).toContain('<a href="../reference/spec#load">spec</a>');
    expect(html).toContain('<a href="https://example.com/">far</a>');
    expect(html).not.toMatch(/<script|<img|onerror|CHANGELOG/);
    expect(linked("guide/dashboard.md", "README")).toBe("docs/guide/dashboard");
    expect(linked("../README.md", "guide/dashboard")).toBe("..");
    expect(anchor("What `p99` means: 1 in 100")).toBe("what-p99-means-1-in-100");
});

test("every help link of the pages leads to a page that there is, and to a heading of it", () => {
    const root = fileURLToPath(new URL("src", import.meta.url));
    const pages = new Set(docPages());
    const found: string[] = [];
    for (const name of readdirSync(root, { recursive: true, encoding: "utf8" })) {
        if (!name.endsWith(".svelte")) continue;
        const text = readFileSync(join(root, name), "utf8");
        for (const [, target = ""] of text.matchAll(/(?:HelpLink page|\bhelp)="([^"{]+)"/g)) {
            found.push(target);
            const [page = "", hash] = target.split("#");
            expect(pages, `${name} links to ${target}`).toContain(page);
            const source = readFileSync(fileURLToPath(new URL(`../docs/${page}.md`, import.meta.url)), "utf8");
            if (hash) expect(rendered(source, page).html, target).toContain(`id="${hash}"`);
        }
    }
    expect(found.length).toBeGreaterThan(8);
});
