// What people do on the pages that keep, schedule and compare tests: in a real browser, against a real server.
import { describe, expect, it } from "vitest";

import { PATIENCE_MS } from "./browser";
import { api, at, ran, server, shop, target } from "./shared";

const HOSTILE = `<img src=x onerror="document.title='pwned'"> \u202eesrever ${"9".repeat(40)}`;

describe("kept tests", () => {
    it("are run, switched off, edited with a diff against what ran, and deleted with undo", async () => {
        await ran(shop("kept"));
        await api("/tests", { spec: shop("kept") });
        const page = await at("/tests");
        const row = page.getByRole("listitem").filter({ has: page.getByRole("link", { name: "kept", exact: true }) });
        await row.getByRole("link", { name: /the last run of kept/ }).waitFor();
        await row.getByRole("switch").uncheck();
        await expect
            .poll(async () => (await api<{ enabled: boolean }>("/tests/kept")).enabled, { timeout: PATIENCE_MS })
            .toBe(false);
        await page.getByRole("link", { name: "kept", exact: true }).click();
        await page.getByRole("tab", { name: "Changes" }).click();
        await page.getByText("No changes").waitFor();
        await page.getByLabel("Rate", { exact: true }).first().fill("41");
        await page.getByRole("region", { name: "What differs from what ran" }).getByText("rate: 41").waitFor();
        await page.getByRole("button", { name: "Save", exact: true }).click();
        await page.waitForURL(/^[^?]*\/tests$/);
        expect((await api<{ spec: { load: { rate: number } } }>("/tests/kept")).spec.load.rate).toBe(41);
        await page.getByRole("button", { name: "More for kept", exact: true }).click();
        await page.getByRole("menuitem", { name: "Delete" }).click();
        await page.getByText("Test “kept” deleted").waitFor();
        await page.getByRole("button", { name: "Undo" }).click();
        await page.getByRole("link", { name: "kept", exact: true }).waitFor();
        await page.getByRole("button", { name: "Run kept", exact: true }).click();
        await page.getByText("“kept” was started").waitFor();
    });

    it("keep a hidden credential when a run is edited", async () => {
        const id = await ran({
            name: "secret",
            url: `${target}/auth/bearer?token=hush`,
            auth: { type: "bearer_token", token: "hush" },
            total_requests: 2,
            concurrency: 1,
        });
        const page = await at(`/edit/${id}`);
        await page.getByText("is a stored credential").waitFor();
        await page
            .getByLabel(/^(Stop after|Max requests)$/)
            .first()
            .fill("3");
        await page.getByRole("button", { name: "Run with changes" }).click();
        await page.waitForURL((url) => /\/runs\//.test(url.pathname) && !url.pathname.includes(id));
        const again = page.url().split("/").at(-1) ?? "";
        await expect
            .poll(
                async () =>
                    (await api<{ metrics: { successful_requests: number } | null }>(`/runs/${again}`)).metrics
                        ?.successful_requests,
                { timeout: PATIENCE_MS },
            )
            .toBe(3);
    });
});

describe("two runs", () => {
    it("stand side by side, with what keeps them apart before any figure", async () => {
        const a = await ran(shop("compared", 30));
        const b = await ran(shop("compared", 50));
        const page = await at(`/compare?a=${a}&b=${b}`);
        await page.getByText("their specs differ in load").waitFor();
        await page
            .getByTestId("sentence")
            .getByText(/p99 .*rate \+/)
            .waitFor();
        const table = page.getByRole("region", { name: "Figures of both runs" });
        await expect.poll(() => table.innerText()).toMatch(/p99\s/);
        await page.getByRole("region", { name: "Endpoints of both runs" }).getByText("POST /orders").waitFor();
        await page.getByRole("img", { name: /Completed requests per second of A and B/ }).waitFor();
        const over = page.getByRole("region", { name: "Over time" });
        await over.getByText("Show as table").click();
        const first = await over.locator("tbody tr").first().innerText();
        expect(first).toMatch(/^00:00\t\d+\t\d+\t[\d.]+ \wm?s\t/u);
        await page.getByText("Spec diff", { exact: false }).last().click();
        await page.getByRole("region", { name: "The specs of A and B" }).getByText("rate: 50").waitFor();
        await page.getByRole("button", { name: "Swap" }).click();
        await page.waitForURL(new RegExp(`a=${b}&b=${a}`));
    });
});

describe("a schedule", () => {
    it("is made with its next times in words, paused, resumed, and shows what became of them", async () => {
        await api("/tests", {
            spec: { name: "scheduled", url: `${target}/users`, total_requests: 3, concurrency: 1 },
        });
        const page = await at("/schedules?new=scheduled", { expectTrouble: true });
        const dialog = page.getByRole("dialog");
        await dialog.getByText(/^Every day at 02:30/).waitFor();
        await expect.poll(() => dialog.getByRole("list", { name: "Next runs" }).getByRole("listitem").count()).toBe(5);
        await dialog.getByLabel("Cron expression").fill("30 25 * * *");
        await dialog.locator("[id$=-error]").first().waitFor();
        await dialog.getByRole("button", { name: "Interval" }).click();
        await dialog.getByLabel("Every", { exact: true }).fill("2");
        await dialog.getByLabel("Unit").selectOption("seconds");
        await dialog.getByText("Every 2 seconds").waitFor();
        await dialog.getByLabel("Name").fill("often");
        await dialog.getByText("Overlap, limits, tags").click();
        await dialog.getByLabel("Max runs").fill("1");
        await dialog.getByRole("button", { name: "Schedule", exact: true }).click();
        await dialog.waitFor({ state: "hidden" });
        await page.getByText("often", { exact: true }).waitFor();
        await page.getByRole("button", { name: "Show details of often" }).click();
        await page
            .getByRole("list", { name: "History of often" })
            .getByRole("listitem")
            .first()
            .waitFor({ timeout: PATIENCE_MS });
        await page.getByRole("button", { name: "New schedule" }).click();
        await dialog.getByLabel("Name").fill("nightly");
        await dialog.getByLabel("Test").selectOption("scheduled");
        await dialog.getByRole("button", { name: "Schedule", exact: true }).click();
        await dialog.waitFor({ state: "hidden" });
        await page.getByRole("switch", { name: "Pause nightly" }).uncheck();
        await page.getByRole("switch", { name: "Resume nightly" }).waitFor();
        await expect
            .poll(async () => (await api<{ enabled: boolean }>("/schedules/nightly")).enabled, {
                timeout: PATIENCE_MS,
            })
            .toBe(false);
        await page.getByRole("switch", { name: "Resume nightly" }).check();
        await expect
            .poll(async () => (await api<{ enabled: boolean }>("/schedules/nightly")).enabled, {
                timeout: PATIENCE_MS,
            })
            .toBe(true);
    });

    it("signs what it sends with a secret that is not shown again, and its own spec is edited in the form", async () => {
        const { id } = await api<{ id: string }>("/schedules", {
            name: "its own",
            spec: {
                name: "own spec",
                url: `${target}/users`,
                total_requests: 3,
                headers: { Authorization: "Bearer hush" },
            },
            trigger: { type: "cron", expression: "0 0 1 1 *" },
        });
        interface Kept {
            notify: { url: string; secret: string }[];
            spec: { total_requests: number; headers: Record<string, string> };
        }
        const page = await at("/schedules", { expectTrouble: true });
        const dialog = page.getByRole("dialog");
        const change = async (): Promise<void> => {
            await page.getByRole("button", { name: "More for its own" }).click();
            await page.getByRole("menuitem", { name: "Edit" }).click();
            await dialog.getByText("Notifications").click();
        };
        await change();
        await dialog.getByRole("button", { name: "Webhook", exact: true }).click();
        await dialog.getByLabel("Webhook", { exact: true }).fill("http://127.0.0.1:9/hook");
        await dialog.getByLabel("Secret", { exact: true }).fill("short");
        await dialog.getByRole("button", { name: "Save", exact: true }).click();
        await dialog.locator('input[type="password"][aria-invalid="true"]').waitFor();
        await dialog.getByLabel("Secret", { exact: true }).fill("a long secret of this test");
        await dialog.getByRole("button", { name: "Save", exact: true }).click();
        await dialog.waitFor({ state: "hidden" });
        const [channel] = (await api<Kept>(`/schedules/${id}`)).notify;
        expect(channel).toMatchObject({ url: "http://127.0.0.1:9/***", secret: "***" });
        await change();
        await dialog.getByText("Stored secret").waitFor();
        await dialog.getByRole("button", { name: "Cancel" }).click();

        await page.getByRole("button", { name: "More for its own" }).click();
        await page.getByRole("menuitem", { name: "View spec" }).click();
        await page.waitForURL(new RegExp(`/edit/${id}[?]schedule`));
        await page
            .getByLabel(/^(Stop after|Max requests)$/)
            .first()
            .fill("4");
        await page.getByRole("button", { name: "Save", exact: true }).click();
        await page.waitForURL(/\/schedules$/);
        const kept = await api<Kept>(`/schedules/${id}`);
        expect(kept.spec).toMatchObject({ total_requests: 4, headers: { Authorization: "***" } });
        expect(kept.notify[0]).toEqual(channel);
    });
});

describe("hostile content", () => {
    it("is text on every page", async () => {
        const spec = { ...shop(HOSTILE), variables: { "<script>": HOSTILE }, headers: { "X-Name": "<b>bold</b>" } };
        const a = await ran(spec);
        const { id } = await api<{ id: string }>("/tests", { spec, tags: ["<i>tag</i>"] });
        await api("/schedules", {
            name: HOSTILE,
            test: id,
            trigger: { type: "cron", expression: "0 0 1 1 *" },
            tags: ["<u>tag</u>"],
        });
        const page = await at("/tests");
        for (const path of [`/edit/${id}?test`, `/edit/${a}`, "/tests", "/schedules", `/compare?a=${a}&b=${a}`]) {
            await page.goto(server + path);
            // A comparison has the names in fields, in which nothing is markup.
            const named = page.getByText(HOSTILE.slice(0, 30)).first();
            const field = page.locator(`input[role="combobox"]`).first();
            if (path.startsWith("/compare"))
                await expect.poll(() => field.inputValue(), { timeout: PATIENCE_MS }).toContain(HOSTILE.slice(0, 30));
            else await named.waitFor({ state: "attached" });
            expect(await page.locator("main img, main b, main i, main u, main script").count(), path).toBe(0);
            expect(await page.title()).not.toBe("pwned");
            expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), path).toBe(true);
        }
    });
});
