// The documentation as pages of the dashboard: docs/*.md become HTML when it is built, and need no network.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { Marked } from "marked";
import sanitize from "sanitize-html";
import type { Plugin } from "vite";

const ROOT = fileURLToPath(new URL("../docs", import.meta.url));
const INDEX = "README";
/** The list of all pages with their titles. */
const LIST = "virtual:docs";
/** Not for those who use the product. */
const LEFT_OUT = /^(proof\/|architecture|dependencies|benchmarks)/;

/** `guide/dashboard`, without its ending. */
export function docPages(): string[] {
    return readdirSync(ROOT, { recursive: true, encoding: "utf8" })
        .map((name) => name.replaceAll("\\", "/"))
        .filter((name) => name.endsWith(".md") && !LEFT_OUT.test(name))
        .map((name) => name.slice(0, -3))
        .sort();
}

/** The anchor of a heading, as GitHub has it: links between pages hold in both. */
export function anchor(heading: string): string {
    return heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .trim()
        .replace(/\s/g, "-");
}

/** A link of a page as the dashboard has it; null where it leads to what the dashboard does not serve. */
export function linked(href: string, page: string): string | null {
    if (/^(https?:|mailto:|#)/.test(href)) return href;
    const [path = "", hash] = href.split("#");
    const target = posix.normalize(posix.join(posix.dirname(page), path));
    if (target.startsWith("..") || !target.endsWith(".md") || !docPages().includes(target.slice(0, -3))) return null;
    const name = target.slice(0, -3);
    // Relative to the address of the page, whatever path the server is below.
    const from = page === INDEX ? "" : posix.dirname(posix.join("docs", page));
    const to = name === INDEX ? "docs" : posix.join("docs", name);
    return `${posix.relative(from, to) || "."}${hash ? `#${hash}` : ""}`;
}

export function rendered(source: string, page: string): { title: string; html: string } {
    const marked = new Marked({
        renderer: {
            heading({ tokens, depth, text }) {
                return `<h${depth} id="${anchor(text)}">${this.parser.parseInline(tokens)}</h${depth}>`;
            },
            link({ href, tokens }) {
                const to = linked(href, page);
                const inside = this.parser.parseInline(tokens);
                return to === null ? inside : `<a href="${to}">${inside}</a>`;
            },
            image: () => "",
        },
    });
    const html = sanitize(marked.parse(source, { async: false }), {
        allowedTags: sanitize.defaults.allowedTags.filter((tag) => tag !== "img"),
        allowedAttributes: { a: ["href"], th: ["align"], td: ["align"], ...headings() },
    });
    return { title: /^#\s+(.+)$/m.exec(source)?.[1]?.replaceAll("`", "") ?? page, html };
}

const headings = (): Record<string, string[]> =>
    Object.fromEntries(["h1", "h2", "h3", "h4", "h5", "h6"].map((tag) => [tag, ["id"]]));

export function docs(): Plugin {
    return {
        name: "docs",
        enforce: "pre",
        resolveId: (id) => (id === LIST ? `\0${LIST}` : null),
        load(id) {
            if (id === `\0${LIST}`) {
                const list = docPages().map((page) => {
                    this.addWatchFile(`${ROOT}/${page}.md`);
                    return { page, title: rendered(readFileSync(`${ROOT}/${page}.md`, "utf8"), page).title };
                });
                return `export default ${JSON.stringify(list)}`;
            }
            if (!id.endsWith(".md") || !dirname(id).startsWith(ROOT)) return null;
            const page = relative(ROOT, id).replaceAll("\\", "/").slice(0, -3);
            return `export default ${JSON.stringify(rendered(readFileSync(id, "utf8"), page))}`;
        },
    };
}
