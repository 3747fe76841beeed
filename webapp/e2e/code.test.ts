// A run of Python code: its endpoints become known while it runs.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeAll, expect, inject, test } from "vitest";

import { open, PATIENCE_MS } from "./browser";
import { api, server, target } from "./shared";

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

beforeAll(() => writeFileSync(join(inject("code"), "shop.py"), CODE));

test("endpoints appear on the page when the code first uses them, and exceptions with their traceback", async () => {
    const spec = {
        name: "code",
        base_url: target,
        duration: "6s",
        concurrency: 2,
        scenarios: { browse: { code: "shop.py:browse" } },
    };
    const { id } = await api<{ id: string }>("/runs", { spec });
    const page = await open(`${server}/runs/${id}`);
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
