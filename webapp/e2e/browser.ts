// Pages of the browser that setup.ts starts; each records its errors.
import { createRequire } from "node:module";

import {
    type Browser,
    type BrowserContext,
    type BrowserContextOptions,
    chromium,
    type Download,
    type Page,
} from "playwright-core";
import { inject } from "vitest";

/** Waiting is for conditions; this is only when a test gives up. */
export const PATIENCE_MS = 60_000;
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

let browser: Browser | undefined;
let pages: { page: Page; wrong: string[]; key: string }[] = [];
/** Contexts that no page uses, by their options. They keep the files of the dashboard, and nothing else. */
const idle = new Map<string, BrowserContext[]>();

/** Connect once per process of Vitest: all of them share one browser. */
async function connected(): Promise<Browser> {
    browser ??= await chromium.connect(inject("browser"));
    return browser;
}

async function contextOf(key: string, fresh: boolean): Promise<BrowserContext> {
    const found = fresh ? undefined : idle.get(key)?.pop();
    if (found) return found;
    const context = await (await connected()).newContext(JSON.parse(key) as BrowserContextOptions);
    context.setDefaultTimeout(PATIENCE_MS);
    return context;
}

/** A page, in a context of its own. A fresh one has nothing in its cache. */
export async function open(
    url: string,
    options: BrowserContextOptions & { expectTrouble?: boolean | RegExp; fresh?: boolean } = {},
): Promise<Page> {
    const { expectTrouble, fresh = false, ...more } = options;
    const key = JSON.stringify({ viewport: { width: 1280, height: 900 }, colorScheme: "dark", ...more });
    const context = await contextOf(key, fresh);
    const page = await context.newPage();
    const wrong: string[] = [];
    const expected = expectTrouble === true ? /Failed to load resource|Not found/ : expectTrouble || null;
    // What a server refuses on purpose is in the console too; all else there is a fault of ours, a broken policy above all.
    page.on("console", (message) => {
        if (message.type() === "error" && !expected?.test(message.text()))
            wrong.push(`${message.text()} (${message.location().url})`);
    });
    page.on("pageerror", (error) => wrong.push(String(error)));
    pages.push({ page, wrong, key });
    await page.goto(url);
    return page;
}

/** Close the pages of a test and return the errors that they recorded. */
export async function closed(): Promise<string[]> {
    const opened = pages;
    pages = [];
    for (const { page, key } of opened) {
        const context = page.context();
        await page.evaluate(() => localStorage.clear()).catch(() => undefined); // about:blank has none
        await page.close();
        await context.clearCookies();
        await context.clearPermissions();
        idle.set(key, [...(idle.get(key) ?? []), context]);
    }
    return opened.flatMap(({ wrong }) => wrong);
}

/** The content of a download. Its path is of no use, as the browser belongs to another process. */
export async function content(download: Download): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
}

/** Serious and critical findings of axe, as `rule: where`: of all rules, or of some. */
export async function faults(page: Page, rules?: string[]): Promise<string[]> {
    // Through the debugger, as the page's policy allows no foreign script.
    const { readFileSync } = await import("node:fs");
    await page.evaluate(readFileSync(AXE, "utf8"));
    return page.evaluate(async (rules) => {
        const { axe } = window as unknown as { axe: typeof import("axe-core") };
        const { violations } = await axe.run(document, {
            resultTypes: ["violations"],
            ...(rules && { runOnly: rules }),
        });
        return violations
            .filter((each) => each.impact === "serious" || each.impact === "critical")
            .flatMap((each) =>
                each.nodes.map((node) => `${each.id}: ${node.target.join(" ")} ${node.failureSummary ?? ""}`),
            );
    }, rules);
}
