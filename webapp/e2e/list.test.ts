import { afterAll, beforeAll, expect, inject, test } from "vitest";

import { open, PATIENCE_MS } from "./browser";
import { ApiServer, until } from "./server";

const target = inject("target");
let server: ApiServer;

beforeAll(async () => {
    server = await new ApiServer({ ATM_MAX_CONCURRENT_RUNS: "4" }).open();
});

afterAll(() => server.close());

const users = (name: string, more: object = {}): object => ({
    name,
    url: `${target}/users`,
    total_requests: 20,
    ...more,
});

test("where nothing has run yet, one click runs the demo test to its verdict", async () => {
    const page = await open(`${server.url}/`);
    await page.getByText("Nothing has run yet").waitFor();
    await page.getByRole("button", { name: "Run the demo test" }).click();
    await page.waitForURL(/\/runs\/[0-9a-f-]+$/);
    await page.getByRole("heading", { name: "quickstart" }).waitFor();
    await page.locator('[data-status="completed"]').waitFor({ timeout: 2 * PATIENCE_MS });
    await page.getByText(/3 thresholds/).waitFor();
});

test("the list shows what is started elsewhere, and filters stay in the address", async () => {
    const page = await open(`${server.url}/`);
    const tests = page.getByRole("list", { name: "Tests" });
    await tests.getByText("quickstart").waitFor();
    // Where the machine is too busy to measure, a run is invalid: then another one.
    let [name, measurement] = ["", "invalid"];
    for (let attempt = 1; measurement === "invalid" && attempt <= 10; attempt += 1) {
        name = `elsewhere-${attempt}`;
        const id = await server.run(users(name), ["nightly"]);
        await tests.getByText(name, { exact: true }).waitFor();
        await server.ended(id);
        ({ measurement } = await server.ask<{ measurement: string }>("GET", `/runs/${id}`));
    }
    await tests.getByRole("listitem").filter({ hasText: name }).getByText("Passed", { exact: true }).waitFor();

    await page.keyboard.press("/");
    await page.keyboard.type(name);
    await page.waitForURL(`**/?text=${name}`);
    await tests.getByText("quickstart").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Passed", exact: true }).click();
    await page.waitForURL(/status=passed/);
    await page.getByLabel("Tag", { exact: true }).fill("nightly");
    await page.getByLabel("Tag", { exact: true }).press("Enter");
    await page.waitForURL(/tag=nightly/);
    await page.reload();
    await page.getByText("1 run", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Cancelled", exact: true }).click();
    await page.getByText(/No run matches/).waitFor();
    await page.getByRole("link", { name: "Clear filters" }).first().click();
    await tests.getByText("quickstart").waitFor();
});

test("runs are filtered by days and times, by keyboard, and an invalid date is reported", async () => {
    const id = await server.run(users("dated"));
    await server.ended(id);
    const { created_at } = await server.ask<{ created_at: string }>("GET", `/runs/${id}`);
    const day = created_at.slice(0, 10);
    const page = await open(`${server.url}/?text=dated`, { timezoneId: "UTC" });
    const runs = page.getByRole("list", { name: "Runs" });
    await page.getByLabel("When").selectOption("dates");
    const since = page.getByLabel("Since, day");
    await page.waitForFunction(() => (document.activeElement as HTMLInputElement | null)?.name === "since");
    const [year = "", month = "", date = ""] = day.split("-");
    await page.keyboard.type(`${month}${date}${year}`);
    await page.waitForURL((url) => url.searchParams.get("since") === day);
    await runs.getByText("dated").waitFor();
    await page.getByLabel("Until, day").fill(day);
    await page.waitForURL((url) => url.searchParams.get("until") === day);
    await runs.getByText("dated").waitFor();
    await page.getByLabel("Until, time").fill("00:00");
    await page.waitForURL((url) => url.searchParams.get("until") === `${day}T00:00Z`);
    await page.getByText("so no run matches").waitFor();
    await page.getByText(/^No run matches/).waitFor();
    await page.reload();
    expect(await page.getByLabel("Until, time").inputValue()).toBe("00:00");
    await page.getByRole("button", { name: "Clear until" }).click();
    await page.waitForURL((url) => !url.searchParams.has("until"));
    await runs.getByText("dated").waitFor();
    expect(await since.inputValue()).toBe(day);

    await page.goto(`${server.url}/?text=dated&since=2026-02-30&status=nice`);
    await page.getByText("“2026-02-30” is not a date").waitFor();
    await page.getByText("“nice” is not a status").waitFor();
    // What cannot be heeded filters nothing.
    await page.getByRole("list", { name: "Tests" }).getByText("dated").waitFor();
    await page.getByLabel("When").selectOption("7d");
    await page.waitForURL((url) => url.searchParams.get("when") === "7d" && !url.searchParams.has("since"));
    await runs.getByText("dated").waitFor();
});

test("runs are deleted together, and taken back", async () => {
    const ids = [await server.run(users("short lived")), await server.run(users("short lived"))];
    for (const id of ids) await server.ended(id);
    const page = await open(`${server.url}/?name=short+lived`);
    const boxes = page.getByRole("checkbox", { name: /short lived/ });
    await boxes.nth(1).waitFor();
    for (const box of await boxes.all()) await box.press("Space");
    await page.getByRole("toolbar").getByRole("button", { name: "Delete" }).click();
    await boxes.first().waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Undo" }).click();
    await boxes.nth(1).waitFor();
    expect((await server.ask<{ total: number }>("GET", "/runs?name=short+lived")).total).toBe(2);

    for (const box of await boxes.all()) await box.press("Space");
    await page.getByRole("toolbar").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("button", { name: "Dismiss" }).click();
    await until(
        "the runs to be gone",
        async () => (await server.ask<{ total: number }>("GET", "/runs?name=short+lived")).total === 0,
    );
});

test("an answer to an older question is dropped, and a press asks nothing again", async () => {
    await server.ended(await server.run(users("typed first")));
    await server.ended(await server.run(users("typed last")));
    const page = await open(`${server.url}/?text=typed`);
    const tests = page.getByRole("list", { name: "Tests" });
    await tests.getByText("typed first").waitFor();
    const texts: string[] = [];
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    await page.route("**/api/v1/history**", async (route) => {
        const text = new URL(route.request().url()).searchParams.get("text") ?? "";
        texts.push(text);
        if (text === "typed first") await held;
        await route.continue().catch(() => undefined); // the page has given this question up
    });
    await page.getByRole("heading", { name: "Runs", level: 1 }).click();
    const search = page.getByLabel("Search name or URL");
    await search.fill("typed first");
    await until("the first question", () => Promise.resolve(texts.includes("typed first")));
    await search.fill("typed last");
    await tests.getByText("typed first").waitFor({ state: "detached" });
    release();
    await page.getByRole("heading", { name: "Runs", level: 1 }).click();
    await expect.poll(() => tests.locator("> li").count()).toBe(1);
    await search.fill("typed");
    await tests.getByText("typed first").waitFor();
    expect(texts).toEqual(["typed first", "typed last", "typed"]);
});

test("runs are cancelled together", async () => {
    const ids = [
        await server.run(users("endless", { total_requests: undefined, duration: "10m" })),
        await server.run(users("endless", { total_requests: undefined, duration: "10m" })),
    ];
    const page = await open(`${server.url}/?name=endless`);
    const boxes = page.getByRole("checkbox", { name: /endless/ });
    await boxes.nth(1).waitFor();
    for (const box of await boxes.all()) await box.press("Space");
    await page.getByRole("toolbar").getByRole("button", { name: "Cancel" }).click();
    for (const id of ids) await server.ended(id);
    await expect
        .poll(() => page.getByRole("list", { name: "Runs" }).getByText("Cancelled", { exact: true }).count(), {
            timeout: PATIENCE_MS,
        })
        .toBe(2);
});

test("keys lead everywhere, and tell what they are", async () => {
    const page = await open(`${server.url}/storage`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor({ state: "hidden" });
    await page.keyboard.press("n");
    await page.waitForURL(/\/new$/);
    await page.getByRole("heading", { level: 1 }).click();
    await page.keyboard.press("g");
    await page.keyboard.press("t");
    await page.waitForURL(/\/tests$/);
});

test("a server that goes away is announced, and found again when it is back", async () => {
    const id = await server.run(users("long", { total_requests: undefined, duration: "10m" }));
    const page = await open(`${server.url}/runs/${id}`, { expectTrouble: true });
    await page.locator('[data-status="running"]').waitFor();
    await server.kill();
    await page.getByText(/Reconnecting/).waitFor();
    await server.open();
    await page.getByText(/Reconnecting/).waitFor({ state: "detached" });
    // The run has outlived the server, and receives what is sent to it now.
    await server.ask("POST", `/runs/${id}/cancel`);
    await page.locator('[data-status="cancelled"]').waitFor();
});

test("a page whose code is not loaded yet says that the server is away, and loads when it is back", async () => {
    const page = await open(`${server.url}/`, { expectTrouble: /Failed to (load resource|fetch)|ERR_/ });
    await page.getByRole("heading", { name: "Runs", level: 1 }).waitFor();
    await server.kill();
    await page.getByRole("link", { name: "Schedules", exact: true }).click();
    await page.getByRole("alert").getByText("The server does not respond").waitFor();
    await server.open();
    await page.getByRole("heading", { name: "Schedules", level: 1 }).waitFor();
});
