// A run of Python code: its endpoints become known while it runs.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { open, PATIENCE_MS } from "./browser";
import { ApiServer } from "./server";
import { target } from "./shared";

const CODE = `
import asyncio

import atm

@atm.scenario
async def browse(user: atm.User) -> None:
    response = await user.get("/users", name="first")
    response.check("has users", response.ok)
    await asyncio.sleep(0.05)
    if user.iteration > 40:
        await user.get("/orders/1", name="later")
    if user.iteration % 20 == 0:
        raise ValueError("every twentieth one")
`;

const folder = mkdtempSync(join(tmpdir(), "atm-code-"));
let server: ApiServer;

beforeAll(async () => {
    writeFileSync(join(folder, "shop.py"), CODE);
    server = await new ApiServer({ ATM_CODE_DIR: folder }).open();
});

afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
});

test("endpoints appear on the page when the code first uses them, and exceptions with their traceback", async () => {
    const id = await server.run({
        name: "code",
        base_url: target,
        duration: "6s",
        concurrency: 2,
        scenarios: { browse: { code: "shop.py:browse" } },
    });
    const page = await open(`${server.url}/runs/${id}`);
    const rows = page.getByRole("row");
    await rows.filter({ hasText: "first" }).first().waitFor();
    await rows.filter({ hasText: "later" }).first().waitFor();
    await page.locator('[data-status="completed"]').waitFor({ timeout: 2 * PATIENCE_MS });
    const exceptions = page.locator("#exceptions");
    await exceptions.getByText("ValueError: every twentieth one").first().waitFor();
    await exceptions.getByText("Traceback").first().click();
    await exceptions.getByText('raise ValueError("every twentieth one")').first().waitFor();
    // As it is stored: the same after a reload.
    await page.reload();
    await rows.filter({ hasText: "later" }).first().waitFor();
    await page.getByText("has users").first().waitFor();
    expect(await exceptions.getByText("ValueError: every twentieth one").count()).toBeGreaterThan(0);
});
