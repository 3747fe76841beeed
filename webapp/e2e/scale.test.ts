// What is much: thousands of runs in the list, two hours of many endpoints in one of them.
import { afterAll, beforeAll, expect, test } from "vitest";

import { open, PATIENCE_MS } from "./browser";
import { PROVING } from "./chromium";
import { ApiServer } from "./server";

let server: ApiServer;
let long: string;
const RUNS = PROVING ? 10_000 : 2_000;
const ENDPOINTS = PROVING ? 20 : 5;

beforeAll(async () => {
    server = new ApiServer();
    long = server.python("webapp/e2e/fill.py", server.folder, String(RUNS), String(ENDPOINTS));
    await server.open();
});

afterAll(() => server.close());

test("thousands of runs are listed by test, searched, and paged through", async () => {
    const page = await open(`${server.url}/`);
    const tests = page.getByRole("list", { name: "Tests" });
    await tests.getByText("of the shop").first().waitFor();
    await expect.poll(() => tests.locator("> li").count()).toBe(50);
    await page.getByRole("button", { name: /^More tests/ }).click();
    await expect.poll(() => tests.locator("> li").count(), { timeout: PATIENCE_MS }).toBe(100);

    await page.goto(`${server.url}/?tag=nightly`);
    const runs = page.getByRole("list", { name: "Runs" });
    await expect.poll(() => runs.locator("> li").count(), { timeout: PATIENCE_MS }).toBe(100);
    await page.getByText(PROVING ? "1\u202f000 runs" : "200 runs").waitFor();
    await page.getByRole("button", { name: "Older runs" }).click();
    await expect.poll(() => runs.locator("> li").count(), { timeout: PATIENCE_MS }).toBe(200);
    const ids = await runs.locator("> li").evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset.run));
    expect(new Set(ids).size).toBe(200);
});

test("two hours of many endpoints are drawn in stretches that the server merged, and brushed exactly", async () => {
    const page = await open(`${server.url}/runs/${long}?window=600-4200`, { expectTrouble: true });
    await page.getByText("Per 10 s", { exact: true }).waitFor();
    await page.locator('[data-window="600-4200"]').waitFor();
    // 3,600 seconds of 50 requests at each endpoint.
    const started = (3_600 * 50 * ENDPOINTS).toLocaleString("en").replaceAll(",", "\u202f");
    await page.getByText(`${started} started, ${started} completed`).waitFor();
});
