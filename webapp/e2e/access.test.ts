// Every page, dark and light, at the width of a desk and of a phone: what axe finds, and what does not fit. A page is
// opened once: the other theme changes nothing but colours, so axe looks at nothing else in it.
import { beforeAll, expect, inject, test } from "vitest";

import { faults, open, PATIENCE_MS } from "./browser";
import { SHOP } from "./setup";

const server = inject("server");
const shop = inject("shop");
const PAGES: [string, string, string][] = [
    ["runs", "/", "Tests"],
    ["all runs", "/?when=7d", "Runs"],
    ["runs by dates", "/?since=2026-01-01&until=soon&status=nice", "Dates"],
    ["run", `/runs/${shop}`, "Endpoints"],
    ["new", "/new?demo=1", ""],
    ["edit", `/edit/${shop}`, ""],
    ["edit a test", "/edit/accessible?test", ""],
    ["tests", "/tests", ""],
    ["schedules", "/schedules", ""],
    ["a schedule", "/schedules?new=accessible", "Next runs"],
    ["compare", `/compare?a=${shop}&b=${shop}`, ""],
    ["storage", "/storage", ""],
    ["settings", "/settings", ""],
    ["audit log", "/audit", "Audit log"],
    ["documentation", "/docs/guide/dashboard", ""],
    ["nothing", "/nowhere", ""],
];

beforeAll(async () => {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(`${server}/api/v1/tests`, {
        method: "POST",
        headers,
        body: JSON.stringify({ spec: { ...SHOP(inject("target")), name: "accessible" } }),
    });
    expect(answer.status).toBe(201);
});

test.each(PAGES)("axe finds nothing serious on the page %s", async (_, path, label) => {
    const page = await open(server + path, { reducedMotion: "reduce", expectTrouble: true });
    await page.getByRole("heading", { level: 1 }).or(page.getByRole("alert")).first().waitFor();
    if (label) await page.getByLabel(label, { exact: true }).first().waitFor();
    // What is still being read is a skeleton. Waiting for a quiet network would never end: streams do not.
    await expect.poll(() => page.locator("main .skeleton").count(), { timeout: PATIENCE_MS }).toBe(0);
    expect(await faults(page)).toEqual([]);
    await page.setViewportSize({ width: 390, height: 800 });
    // Charts and boxes follow a new width in their own time.
    const tooWide = (): Promise<string[]> =>
        page.evaluate(() => {
            const isOut = (each: Element): boolean => each.getBoundingClientRect().right > innerWidth + 1;
            // What is cut off, or scrolls in a box that fits, does not make the page wider.
            const isHeld = (each: Element): boolean => {
                for (let box = each.parentElement; box && box.tagName !== "MAIN"; box = box.parentElement)
                    if (getComputedStyle(box).overflowX !== "visible" && !isOut(box)) return true;
                return false;
            };
            return [...document.querySelectorAll("main *")]
                .filter((each) => isOut(each) && !each.closest("svg, .sr-only") && !isHeld(each))
                .map((each) => `${each.tagName} ${each.className}`)
                .slice(0, 3);
        });
    await expect.poll(tooWide, { timeout: PATIENCE_MS }).toEqual([]);
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
    await page.locator('html[data-theme="light"]').waitFor({ state: "attached" });
    expect(await faults(page, ["color-contrast"])).toEqual([]);
});
