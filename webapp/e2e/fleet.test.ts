// Runs on several workers: how a test chooses them, and their table on the page of a run.
import { describe, expect, it } from "vitest";

import { CLUSTER } from "./setup";
import { api, at, ran, shop } from "./shared";

describe("the workers of a test", () => {
    it("are chosen in the form, from what the server allows", async () => {
        const page = await at("/new");
        await page.getByLabel("URL", { exact: true }).fill("http://127.0.0.1:1/");
        await page.locator("summary", { hasText: "Workers" }).click();
        const place = page.getByLabel("Send from");
        await page.getByRole("option", { name: CLUSTER }).waitFor({ state: "attached" });
        expect(await place.getByRole("option").allInnerTexts()).toEqual(["One process", "Several processes", CLUSTER]);
        await place.selectOption("processes");
        await page.getByText("At most 3 on this server").waitFor();
        await page.getByLabel("Processes", { exact: true }).fill("4");
        await page.getByLabel("Processes", { exact: true }).blur();
        await page.locator("[id$=-error]", { hasText: "this server allows 3" }).waitFor();
        await page.getByLabel("Processes", { exact: true }).fill("2");
        await page.getByText("Ready to run").waitFor();
        await page.getByLabel("When a worker is lost").selectOption("continue");
        await page.getByText("2 processes", { exact: true }).waitFor();
        await place.selectOption(CLUSTER);
        await page.getByLabel("Workers", { exact: true }).fill("8");
        await page.getByText(`8 workers on ${CLUSTER}`).waitFor();
        await page.getByText("Ready to run").waitFor();
        await page.getByRole("tab", { name: "YAML" }).click();
        const text = page.getByLabel("The spec as YAML");
        expect(await text.inputValue()).toMatch(
            /fleet:\n {2}on: ray:\/\/head.test:10001\n {2}workers: 8\n {2}on_loss: continue/,
        );
        await place.selectOption("");
        await page.getByText("Ready to run").waitFor();
        expect(await text.inputValue()).not.toContain("fleet");
    });

    it("may be fewer at the start, and may take over from a lost one, if the load allows it", async () => {
        const page = await at("/new");
        await page.getByLabel("URL", { exact: true }).fill("http://127.0.0.1:1/");
        await page.locator("summary", { hasText: "Workers" }).click();
        await page.getByLabel("Send from").selectOption("processes");
        const enough = page.getByLabel("Enough to start");
        await enough.fill("3");
        await enough.blur();
        await page.locator(`#${await enough.getAttribute("id")}-error`, { hasText: "the run has 2" }).waitFor();
        await enough.fill("1");
        await page.getByText("Ready to run").waitFor();
        const loss = page.getByLabel("When a worker is lost");
        await loss.selectOption("reassign");
        await page.locator(`#${await loss.getAttribute("id")}-error`, { hasText: "cannot be reassigned" }).waitFor();
        await page.getByRole("tab", { name: "YAML" }).click();
        const text = page.getByLabel("The spec as YAML");
        const fleet = /fleet:\n {2}processes: 2\n {2}min_workers: 1\n {2}on_loss: reassign\n/;
        const [written] = fleet.exec(await text.inputValue()) ?? [""];
        await text.fill(`name: a\nurl: http://127.0.0.1:1/\nload: {rate: 10}\nduration: 10s\n${written}`);
        await page.getByText("Ready to run").waitFor();
        expect(await text.inputValue()).toMatch(fleet);
    });

    it("of a test that is edited stand in the form", async () => {
        await api("/tests", { spec: { ...shop("edited"), fleet: { processes: 2 } } });
        const page = await at("/edit/edited?test");
        await page.locator("summary", { hasText: "Workers" }).click();
        expect(await page.getByLabel("Processes", { exact: true }).inputValue()).toBe("2");
    });
});

describe("a run on two workers", () => {
    it("has a table of them while it runs", async () => {
        const spec = { ...shop("live on two"), duration: "5m", fleet: { processes: 2 } };
        const { id } = await api<{ id: string }>("/runs", { spec });
        for (const width of [1280, 375]) {
            const page = await at(`/runs/${id}`, { viewport: { width, height: 900 } });
            const table = page.locator("#workers");
            await table.scrollIntoViewIfNeeded();
            await expect.poll(() => table.locator("[data-worker][data-state=running]").count()).toBe(2);
            if (width > 640) await expect.poll(() => table.locator("thead").innerText()).toContain("In flight");
            expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)).toBe(true);
        }
        await api(`/runs/${id}/cancel`, {});
    });

    it("has a table of them after its end, on every width", async () => {
        const id = await ran({ ...shop("on two"), fleet: { processes: 2 } });
        for (const width of [1280, 375]) {
            const page = await at(`/runs/${id}`, { viewport: { width, height: 900 } });
            const table = page.locator("#workers");
            await table.scrollIntoViewIfNeeded();
            await expect.poll(() => table.locator("[data-worker]").count()).toBe(2);
            await table.getByText("2, none lost").waitFor();
            expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)).toBe(true);
        }
    });
});
