import { afterAll, beforeAll, expect, inject, test } from "vitest";

import { content, open, PATIENCE_MS } from "./browser";
import { ApiServer } from "./server";

const target = inject("target");
let server: ApiServer;

beforeAll(async () => {
    server = await new ApiServer().open();
    for (const name of ["fast", "<b>hostile</b>"])
        await server.ask("POST", "/tests", { spec: { name, url: `${target}/users`, total_requests: 10 } });
    await server.ask("POST", "/tests", {
        spec: { name: "long", url: `${target}/users`, duration: "5m", requests_per_second: 5 },
        enabled: false,
    });
});

afterAll(() => server.close());

test("all tests run as a batch, whose page shows each run live and leaves as reports", async () => {
    const page = await open(`${server.url}/tests`);
    await page.getByRole("button", { name: "Run all" }).click();
    await page.getByRole("button", { name: "Watch" }).click();
    await page.waitForURL(/\/batches\/[0-9a-f-]+$/);
    const matrix = page.getByRole("table", { name: "Tests and their runs" });
    await matrix.getByRole("rowheader", { name: "<b>hostile</b>" }).waitFor();
    await expect
        .poll(() => page.locator("[data-outcome]").getAttribute("data-outcome"), { timeout: PATIENCE_MS })
        .toMatch(/passed|invalid|failed/);
    for (const [name, beginning] of [
        ["Save report as Markdown", "## "],
        ["Save verdicts as JUnit XML", "<?xml"],
    ] as const) {
        await page.getByRole("button", { name: "More" }).click();
        const [download] = await Promise.all([
            page.waitForEvent("download"),
            page.getByRole("menuitem", { name }).click(),
        ]);
        expect((await content(download)).toString("utf8").slice(0, beginning.length)).toBe(beginning);
    }
    await page.getByRole("link", { name: "Batches" }).click();
    await page.getByRole("list", { name: "Batches" }).getByRole("listitem").first().waitFor();
});

test("a batch is cancelled with its queued runs", async () => {
    const started = await server.ask<{ batch_id: string }>("POST", "/tests/run-all", {
        tests: ["long"],
        enabled_only: false,
        repetitions: 3,
        max_concurrency: 1,
    });
    const page = await open(`${server.url}/batches/${started.batch_id}`);
    await page.getByRole("columnheader", { name: "Run 3" }).waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.locator('[data-outcome="cancelled"]').waitFor({ timeout: PATIENCE_MS });
});
