// A server with a key: how people sign in, and what admins see of others, their sessions and what they changed.
import { afterAll, beforeAll, expect, test } from "vitest";

import { open } from "./browser";
import { ApiServer } from "./server";

const KEY = "b7Qm2xVt9KsLw4Zr8NcFy6Hd";
let server: ApiServer;

beforeAll(async () => {
    server = await new ApiServer({ API_TEST_MACHINE_API_KEY: KEY }).open();
});

afterAll(() => server.close());

async function make(name: string, role: string): Promise<string> {
    const answer = await fetch(`${server.url}/api/v1/keys`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-API-Key": KEY },
        body: JSON.stringify({ name, role }),
    });
    expect(answer.status).toBe(201);
    return ((await answer.json()) as { key: string }).key;
}

async function signedIn(key: string): ReturnType<typeof open> {
    const page = await open(`${server.url}/settings`, { expectTrouble: true });
    await page.getByLabel("API key").fill(key);
    await page.keyboard.press("Enter");
    await page.getByText("Signed in as").waitFor();
    return page;
}

test("a wrong key is refused, the right one is taken for a cookie that no script sees, and forgotten again", async () => {
    const page = await open(`${server.url}/tests`, { expectTrouble: true });
    await page.waitForURL(/\/settings\?to=/);
    await page.getByLabel("API key").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("This key is not valid here").waitFor();
    await page.getByLabel("API key").fill(KEY);
    await page.keyboard.press("Enter");
    await page.waitForURL(/^[^?]*\/tests$/);
    const kept = await page.evaluate(() =>
        JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }, location.href]),
    );
    expect(kept).not.toContain(KEY);
    expect(kept).not.toContain("atm_session");
    const [cookie] = await page.context().cookies();
    expect(cookie).toMatchObject({ name: "atm_session", httpOnly: true, sameSite: "Strict" });
    expect(cookie?.value).not.toContain(KEY);
    await page.goto(`${server.url}/settings`);
    await page.getByText("can do everything").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("API key").waitFor();

    // A viewer is offered nothing that the server would refuse.
    const headers = { "Content-Type": "application/json", "X-API-Key": KEY };
    const body = JSON.stringify({ name: "reader of all", role: "viewer" });
    const made = await fetch(`${server.url}/api/v1/keys`, { method: "POST", headers, body });
    await page.getByLabel("API key").fill(((await made.json()) as { key: string }).key);
    await page.keyboard.press("Enter");
    await page.getByText("can view everything").waitFor();
    await page.getByRole("link", { name: "read only" }).waitFor();
    expect(await page.getByRole("link", { name: "New test" }).count()).toBe(0);
    await page.goto(`${server.url}/tests`);
    await page.getByText("No saved tests yet").waitFor();
    await page.getByRole("link", { name: "read only" }).waitFor();
    expect(await page.getByRole("button", { name: "Save tests from history" }).count()).toBe(0);
});

test("an admin sees all sessions and revokes one of them, after a question", async () => {
    const guest = await signedIn(await make("guest", "viewer"));
    const own = guest.getByRole("region", { name: "Sessions" }).first();
    await own.getByText("this browser").waitFor();
    await expect.poll(() => own.getByRole("button", { name: /^Revoke the session/ }).count()).toBe(1);

    const admin = await signedIn(KEY);
    const revoke = admin.getByRole("button", { name: "Revoke the session of guest, Chrome on Linux" });
    await revoke.click();
    const dialog = admin.getByRole("dialog", { name: "Revoke this session?" });
    await dialog.getByRole("button", { name: "Keep it" }).click();
    await dialog.waitFor({ state: "hidden" });
    await revoke.click();
    await dialog.getByRole("button", { name: "Revoke", exact: true }).click();
    await admin.getByText("Session of “guest” revoked").waitFor();
    await revoke.waitFor({ state: "detached" });
    // Other workers and streams follow within two seconds.
    await expect
        .poll(() => guest.evaluate(async () => (await fetch("/api/v1/session")).status), { timeout: 60_000 })
        .toBe(401);
});

test("the audit log is read by actor, action, outcome and time, page by page", async () => {
    const operator = await make("ci", "operator");
    const headers = { "Content-Type": "application/json", "X-API-Key": operator };
    const spec = { name: "audited", url: "http://127.0.0.1:9/", total_requests: 1 };
    const send = (path: string, body: object): Promise<Response> =>
        fetch(`${server.url}/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    expect((await send("/tests", { spec })).status).toBe(201);
    expect((await send("/keys", { name: "more", role: "admin" })).status).toBe(403);
    for (let count = 0; count < 110; count += 1) await send("/tests/run-all?wrong=1", {});

    const page = await signedIn(KEY);
    await page.getByRole("link", { name: "Audit log" }).click();
    const log = page.getByRole("region", { name: "Audit log" });
    await log.locator("tbody tr").first().waitFor();
    await page.getByLabel("Actor").fill("ci");
    await page.getByLabel("Actor").press("Enter");
    await page.waitForURL(/actor=ci/);
    const rows = log.locator("tbody tr");
    await expect.poll(() => rows.count(), { timeout: 60_000 }).toBe(100);
    await page.getByRole("button", { name: "Older entries" }).click();
    await expect.poll(() => rows.count(), { timeout: 60_000 }).toBe(112);
    await page.getByRole("button", { name: "Older entries" }).waitFor({ state: "detached" });

    await page.getByLabel("Action").selectOption("test.");
    await page.getByLabel("Outcome").selectOption("done");
    await page.waitForURL(/outcome=done/);
    await expect.poll(() => rows.count(), { timeout: 60_000 }).toBe(1);
    await rows.getByText("test.create").waitFor();
    await rows.getByText("audited").waitFor();
    await page.reload();
    await rows.getByText("audited").waitFor();
    await rows.getByRole("link").click();
    await page.getByRole("heading", { name: /audited/ }).waitFor();

    await page.goto(`${server.url}/audit?until=2026-01-01`);
    await page.getByText("No entry matches these filters").waitFor();
    await page.getByRole("link", { name: "Clear filters" }).first().click();
    await log.locator("tbody tr").first().waitFor();
});

test("a role below admin is refused the audit log with a message", async () => {
    const page = await signedIn(await make("reader", "viewer"));
    expect(await page.getByRole("link", { name: "Audit log" }).count()).toBe(0);
    await page.goto(`${server.url}/audit`);
    await page.getByRole("alert").getByText(/admin/).first().waitFor();
});
