// One browser for a file of tests; each page remembers what went wrong in it.
import { createRequire } from "node:module";

import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, expect } from "vitest";

import { CHROMIUM } from "./chromium";

/** Waiting is for conditions; this is only when a test gives up. */
export const PATIENCE_MS = 60_000;
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

let browser: Browser | undefined;
let pages: { page: Page; wrong: string[] }[] = [];

export async function launched(): Promise<Browser> {
    browser ??= await chromium.launch({
        executablePath: CHROMIUM,
        args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    });
    return browser;
}

export async function open(
    url: string,
    options: BrowserContextOptions & { expectTrouble?: boolean | RegExp } = {},
): Promise<Page> {
    const { expectTrouble, ...more } = options;
    const context = await (
        await launched()
    ).newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "dark", ...more });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const wrong: string[] = [];
    const expected = expectTrouble === true ? /Failed to load resource|Not found/ : expectTrouble || null;
    // What a server refuses on purpose is in the console too; all else there is a fault of ours, a broken policy above all.
    page.on("console", (message) => {
        if (message.type() === "error" && !expected?.test(message.text())) wrong.push(message.text());
    });
    page.on("pageerror", (error) => wrong.push(String(error)));
    pages.push({ page, wrong });
    await page.goto(url);
    return page;
}

afterEach(async () => {
    const seen = pages;
    pages = [];
    for (const { page } of seen) await page.context().close();
    expect(seen.flatMap(({ wrong }) => wrong)).toEqual([]);
});

afterAll(async () => {
    await browser?.close();
    browser = undefined;
});

/** Serious and critical findings of axe, as `rule: where`. */
export async function faults(page: Page): Promise<string[]> {
    // Through the debugger, as the page's policy allows no foreign script.
    const { readFileSync } = await import("node:fs");
    await page.evaluate(readFileSync(AXE, "utf8"));
    return page.evaluate(async () => {
        const { axe } = window as unknown as { axe: typeof import("axe-core") };
        const { violations } = await axe.run(document, { resultTypes: ["violations"] });
        return violations
            .filter((each) => each.impact === "serious" || each.impact === "critical")
            .flatMap((each) =>
                each.nodes.map((node) => `${each.id}: ${node.target.join(" ")} ${node.failureSummary ?? ""}`),
            );
    });
}
