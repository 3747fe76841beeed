// What makes the dashboard quick to use: the command palette, keys in lists, charts as pictures, a notification at the end.
import { expect, inject, test } from "vitest";

import { content, open } from "./browser";
import { api, at, server, shop } from "./shared";

const run = `/runs/${inject("shop")}`;

test("the command palette opens pages, tests and runs by their names", async () => {
    const page = await at("/storage");
    await page.keyboard.press("Control+k");
    const palette = page.getByRole("dialog", { name: "Command palette" });
    const field = palette.getByRole("combobox");
    await expect.poll(() => field.evaluate((each) => each === document.activeElement)).toBe(true);
    await page.keyboard.type("sched");
    await palette.getByRole("option", { name: /^Schedules/ }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/schedules$/);
    await palette.waitFor({ state: "hidden" });

    // Also while a field has the focus.
    await page.goto(`${server}/`);
    await page.getByLabel("Search name or URL").focus();
    await page.keyboard.press("Control+k");
    await page.keyboard.type("shop");
    const found = palette.getByRole("option", { name: new RegExp(`run ${inject("shop").slice(0, 6)}`) });
    await found.waitFor();
    await page.keyboard.press("ArrowDown");
    await palette.locator('[aria-selected="true"]').waitFor();
    await found.click();
    await page.waitForURL((url) => url.pathname === run);

    await page.keyboard.press("Control+k");
    await page.keyboard.type("theme");
    await page.keyboard.press("Enter");
    await page.locator('html[data-theme="light"]').waitFor({ state: "attached" });

    await page.keyboard.press("Control+k");
    await page.keyboard.type("nothing is called so");
    await palette.getByText("Nothing matches").waitFor();
    await page.keyboard.press("Escape");
    await palette.waitFor({ state: "hidden" });
});

test("j and k walk through a list, and Enter opens", async () => {
    const page = await at("/?tag=nightly");
    const rows = page.locator("main [data-row]");
    await rows.first().waitFor();
    const focused = (): Promise<number> =>
        rows.evaluateAll((all) => all.findIndex((row) => row.contains(document.activeElement)));
    await page.keyboard.press("j");
    expect(await focused()).toBe(0);
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/runs\//);

    // On a run's page they walk through its endpoints.
    const endpoints = page.locator("[data-endpoint]");
    await endpoints.nth(2).waitFor();
    const at_ = (): Promise<number> =>
        endpoints.evaluateAll((all) => all.findIndex((row) => row.contains(document.activeElement)));
    for (const key of ["j", "j", "k"]) await page.keyboard.press(key);
    expect(await at_()).toBe(0);
    await page.keyboard.press("j");
    expect(await at_()).toBe(1);
    // In a field they are letters.
    await page.getByPlaceholder("Text").fill("");
    await page.getByPlaceholder("Text").press("j");
    expect(await page.getByPlaceholder("Text").inputValue()).toBe("j");
});

test("a chart is saved as a PNG of what is seen", async () => {
    const page = await at(run);
    const card = page.getByRole("region", { name: "The run over time", exact: true });
    const save = card.getByRole("button", { name: "Save “Over time” as PNG" });
    await save.scrollIntoViewIfNeeded();
    const [download] = await Promise.all([page.waitForEvent("download"), save.click()]);
    expect(download.suggestedFilename()).toBe(`${inject("shop").slice(0, 8)}-The-run-over-time.png`);
    const bytes = await content(download);
    expect(bytes.subarray(1, 4).toString()).toBe("PNG");
    const box = await card.boundingBox();
    // Width and height stand at the head of the file.
    expect(bytes.readUInt32BE(16)).toBe(Math.round(2 * (box?.width ?? 0)));
    expect(bytes.readUInt32BE(20)).toBeGreaterThan(800);
    // Lines are drawn in it: far more colours than an empty card has.
    const colours = await page.evaluate(async (base64) => {
        const image = await createImageBitmap(
            new Blob([Uint8Array.from(atob(base64), (each) => each.charCodeAt(0))], { type: "image/png" }),
        );
        const canvas = new OffscreenCanvas(image.width, image.height);
        const context = canvas.getContext("2d");
        if (!context) throw new Error("no canvas");
        context.drawImage(image, 0, 0);
        const { data } = context.getImageData(0, 0, image.width, image.height);
        return new Set(new Uint32Array(data.buffer)).size;
    }, bytes.toString("base64"));
    expect(colours).toBeGreaterThan(50);
    await card.getByRole("button", { name: "Show as table" }).click();
    await save.waitFor({ state: "detached" });
});

test("a notification tells the end of a run, when the reader has enabled it", async () => {
    const { id } = await api<{ id: string }>("/runs", {
        spec: { ...shop("announced"), duration: "10m" },
    });
    const page = await open("about:blank");
    await page.context().grantPermissions(["notifications"], { origin: server });
    // What the browser would show; a headless one shows none.
    await page.addInitScript(() => {
        const shown: { title: string; body: string }[] = [];
        class Shown {
            static permission = "granted";
            static requestPermission = (): Promise<string> => Promise.resolve("granted");
            onclick: (() => void) | null = null;
            constructor(title: string, { body }: { body: string }) {
                shown.push({ title, body });
            }
        }
        Object.assign(window, { Notification: Shown, shown });
    });
    await page.goto(`${server}/runs/${id}`);
    await page.locator('[data-status="running"]').waitFor();
    await page.getByRole("button", { name: "More", exact: true }).click();
    await page.getByRole("menuitem", { name: "Notify me when it ends" }).click();
    await page.getByText("You will be notified when “announced” ends").waitFor();
    // From any page of this tab.
    await page.getByRole("link", { name: "Tests", exact: true }).click();
    await page.waitForURL(/\/tests$/);
    await api(`/runs/${id}/cancel`, {});
    const titles = (): Promise<string[]> =>
        page.evaluate(() => (window as unknown as { shown: { title: string }[] }).shown.map(({ title }) => title));
    await expect.poll(titles, { timeout: 60_000 }).toEqual(["Cancelled: announced"]);
});

test("a browser that blocks notifications is named as the reason", async () => {
    const { id } = await api<{ id: string }>("/runs", { spec: { ...shop("unannounced"), duration: "10m" } });
    // A context of its own, to which nothing was granted: a headless browser then denies.
    const page = await open(`${server}/runs/${id}`);
    await page.locator('[data-status="running"]').waitFor();
    await page.getByRole("button", { name: "More", exact: true }).click();
    await page.getByRole("menuitem", { name: "Notify me when it ends" }).click();
    await page.getByText("Notifications are blocked for this page").waitFor();
    await api(`/runs/${id}/cancel`, {});
});

test("a run's page is printed whole, with its name, verdict and date", async () => {
    const page = await at(run);
    await page.locator('[data-cell="response-p50"]').waitFor();
    await page.emulateMedia({ media: "print" });
    const seen = await page.locator("body").evaluate((body) => (body as HTMLElement).innerText);
    expect(seen).toMatch(/shop/);
    expect(seen).toMatch(/thresholds? (failed|passed)/);
    expect(seen).toMatch(/\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}/);
    for (const name of ["New test", "Rerun", "Show as table", "Skip to content"])
        expect(await page.getByText(name, { exact: true }).filter({ visible: true }).count(), name).toBe(0);
    // Nothing is cut off at the right of the paper: what is wider than the window in print would be.
    await page.setViewportSize({ width: 720, height: 1000 });
    const cut = await page.evaluate(() =>
        [...document.querySelectorAll("main canvas, main table, main p")]
            .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
            .map((each) => `${each.tagName} ${each.className}`),
    );
    expect(cut).toEqual([]);
    const pdf = await page.pdf({ format: "A4", printBackground: true });
    const pages = pdf.toString("latin1").match(/\/Type \/Page\b/g) ?? [];
    expect(pages.length).toBeGreaterThan(1);
});
