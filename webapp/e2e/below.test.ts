// A server that a proxy serves below a path: everything is at home there, and nothing asks outside of it.
import { afterAll, beforeAll, expect, inject, test } from "vitest";

import { open } from "./browser";
import { ApiServer, Proxy } from "./server";

const PATH = "/tools/atm";
const KEY = "k7Wd2pXs9LmQz4Rt8NbVy6Hc";
const target = inject("target");
let server: ApiServer;
let proxy: Proxy;

beforeAll(async () => {
    server = await new ApiServer({ ATM_ROOT_PATH: `${PATH}/`, API_TEST_MACHINE_API_KEY: KEY }).open();
    proxy = await new Proxy().open(server.port, PATH);
});

afterAll(async () => {
    proxy.close();
    await server.close();
});

test("below a path of a proxy people sign in, watch a run to its end, and go from page to page", async () => {
    const page = await open(`${proxy.url}/tests`, { expectTrouble: true });
    await page.waitForURL(new RegExp(`${PATH}/settings[?]to=`));
    await page.getByLabel("API key").fill(KEY);
    await page.keyboard.press("Enter");
    await page.waitForURL(`${proxy.url}/tests`);
    const [cookie] = await page.context().cookies(proxy.url);
    expect(cookie).toMatchObject({ name: "atm_session", path: PATH, httpOnly: true });

    const answer = await fetch(`${proxy.url}/api/v1/runs`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-API-Key": KEY },
        body: JSON.stringify({
            spec: { name: "below", url: `${target}/users`, requests_per_second: 20, duration: "3s" },
        }),
    });
    const { id } = (await answer.json()) as { id: string };
    await page.getByRole("link", { name: "Runs", exact: true }).click();
    await page.getByRole("list", { name: "Tests" }).getByRole("link", { name: "below" }).click();
    await page.waitForURL(`${proxy.url}/runs/${id}`);
    await page.locator('[data-status="completed"]').waitFor();
    await page.reload();
    await page.locator('[data-cell="response-p50"]').waitFor();
    await page.getByRole("link", { name: "Edit" }).click();
    await page.waitForURL(`${proxy.url}/edit/${id}`);
    await page.getByRole("heading", { level: 1 }).click();
    await page.keyboard.press("g");
    await page.keyboard.press("s");
    await page.waitForURL(`${proxy.url}/storage`);
    await page.getByRole("heading", { level: 1, name: "Storage" }).waitFor();
    await page.keyboard.press("n");
    await page.waitForURL(`${proxy.url}/new`);
    expect(await page.getByRole("link", { name: "Storage" }).getAttribute("href")).toBe(`${PATH}/storage`);
    expect(proxy.astray).toEqual([]);
});
