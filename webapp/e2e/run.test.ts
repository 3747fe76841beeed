import type { Locator } from "playwright-core";
import { inject, expect, test } from "vitest";

import { content, open, PATIENCE_MS } from "./browser";
import { SHOP } from "./setup";

const server = inject("server");
const target = inject("target");
const shop = `${server}/runs/${inject("shop")}`;

async function post<Answer>(path: string, body: unknown): Promise<Answer> {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(`${server}/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    expect(response.ok, await response.clone().text()).toBe(true);
    return (await response.json()) as Answer;
}

const number = (text: string): number => Number(text.replaceAll(/[\s\u202f]/g, ""));

test("a run is watched live, stopped, and judged with reasons", async () => {
    // As long as it takes until the page has been looked at: a slow machine is given its time.
    const { id } = await post<{ id: string }>("/runs", { spec: { ...SHOP(target), name: "live", duration: "10m" } });
    const page = await open(`${server}/runs/${id}`);
    await page.locator('[data-status="running"]').waitFor();
    await page.getByRole("progressbar", { name: "Progress" }).waitFor();
    const rate = page.locator('[data-figure="rate"] dd');
    await expect.poll(() => rate.innerText(), { timeout: PATIENCE_MS }).toMatch(/^\d+(\.\d+)?\s*\/s/);
    await page.getByText("so far").first().waitFor();
    // Some of the flaky ones have to have failed.
    await page.getByText("1 of 2 thresholds failed so far").waitFor();
    await page.getByRole("button", { name: "More" }).click();
    await page.getByRole("menuitem", { name: "Stop, let requests finish" }).click();
    await page.locator('[data-status="completed"]').waitFor();
    await page.getByRole("group", { name: "Verdicts" }).getByText("Stopped", { exact: true }).waitFor();
    await page.getByText("1 of 2 thresholds failed", { exact: true }).waitFor();
    // The lines keep their height when the run ends; what is behind them is a click away.
    await page.getByRole("button", { name: "Details" }).click();
    await page.getByRole("list", { name: "Thresholds" }).getByText("on flaky").waitFor();
    await page.getByRole("button", { name: "Rerun" }).waitFor();
    expect(await page.getByRole("progressbar").count()).toBe(0);
});

test("the page tells the digits of the stored result", async () => {
    const page = await open(shop);
    const result = (await (await fetch(`${server}/api/v1/runs/${inject("shop")}/result`)).json()) as {
        metrics: Record<
            | "latency_p50_ms"
            | "ok_latency_p95_ms"
            | "failed_latency_p95_ms"
            | "successful_requests"
            | "failed_requests",
            number
        >;
    };
    await page.locator('[data-cell="response-p50"]').waitFor();
    const p50 = (await page.locator('[data-cell="response-p50"]').innerText()).replace("?", "");
    expect(Number(p50)).toBeCloseTo(Number(result.metrics.latency_p50_ms.toPrecision(3)), 6);
    // Ok and failed times apart, as there are failures; of a window too.
    for (const kind of ["ok", "failed"] as const) {
        const p95 = (await page.locator(`[data-cell="${kind}-p95"]`).innerText()).replace("?", "");
        const unit = await page
            .getByRole("region", { name: "Percentiles" })
            .locator("thead th span")
            .nth(1)
            .innerText();
        const factor = { µs: 1e3, ms: 1, s: 1e-3 }[unit] ?? NaN;
        const stored = result.metrics[`${kind}_latency_p95_ms`] * factor;
        expect(number(p95)).toBeCloseTo(Number(stored.toPrecision(3)), 3);
    }
    const failed = await page.locator('[data-figure="failed"] dd > span').first().innerText();
    expect(number(failed.split(/\s{2,}|(?<=\d)(?=\d+\.)/)[0] ?? "")).toBeGreaterThan(0);
    expect(
        await page
            .getByText(`${result.metrics.successful_requests} ok + ${result.metrics.failed_requests} failed`)
            .count(),
    ).toBe(1);
});

test("a window that is brushed changes every figure, exactly, and stays in the address", async () => {
    const page = await open(shop);
    const group = page.getByRole("group", { name: /Window of time/ });
    await page.getByRole("slider", { name: "Window starts" }).waitFor({ state: "attached" });
    await group.scrollIntoViewIfNeeded();
    const box = await group.boundingBox();
    if (!box) throw new Error("there is no plot");
    await page.mouse.move(box.x + box.width * 0.27, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.4, box.y + 60, { steps: 4 });
    await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 4 });
    await page.mouse.up();
    const chip = page.locator("[data-window]");
    await chip.waitFor();
    const [start, end] = ((await chip.getAttribute("data-window")) ?? "").split("-").map(Number) as [number, number];
    await page.waitForURL((url) => url.searchParams.get("window") === `${start}-${end}`);
    const query = `start=${start}&end=${end}&merge=true&endpoint=*`;
    const answer = (await (await fetch(`${server}/api/v1/runs/${inject("shop")}/intervals?${query}`)).json()) as {
        window: { endpoints: { warm_up: boolean; completed: number; started: number; latency: { p99_ms: number } }[] };
    };
    const merged = answer.window.endpoints.find((each) => !each.warm_up);
    if (!merged) throw new Error("nothing in the window");
    await page.getByText(`${merged.started} started, ${merged.completed} completed`).waitFor();
    const p99 = (await page.locator('[data-cell="response-p99"]').innerText()).replace("?", "");
    expect(number(p99)).toBeCloseTo(Number(merged.latency.p99_ms.toPrecision(3)), 6);

    await page.reload();
    await page.getByText(`${merged.started} started, ${merged.completed} completed`).waitFor();
    await page.getByRole("button", { name: "Reset" }).click();
    await chip.waitFor({ state: "detached" });
    await page.waitForURL((url) => url.search === "");
});

test("failures and kept requests follow the window: counts from its intervals, requests by when they finished", async () => {
    const id = inject("shop");
    const answer = (await (
        await fetch(`${server}/api/v1/runs/${id}/intervals?start=2&end=5&merge=true&endpoint=flaky`)
    ).json()) as { window: { endpoints: { warm_up: boolean; outcomes: Record<string, number> }[] } };
    const failed = answer.window.endpoints.find((each) => !each.warm_up)?.outcomes.unexpected_status ?? 0;
    const samples = (await (await fetch(`${server}/api/v1/runs/${id}/samples`)).json()) as {
        at_seconds: number;
        response_ms: number;
    }[];
    const finished = (each: (typeof samples)[number]): number => each.at_seconds + each.response_ms / 1000;
    const inside = samples.filter((each) => finished(each) >= 2 && finished(each) < 5);
    expect(failed).toBeGreaterThan(0);
    expect(inside.length).toBeLessThan(samples.length);

    const page = await open(`${shop}?window=2-5`);
    const failures = page.getByRole("region", { name: "Failures" });
    await failures.getByText("00:02 to 00:05").waitFor();
    await failures.getByText(`${failed}`).first().waitFor();
    const viewer = page.getByRole("region", { name: "Requests" });
    await viewer.getByText("finished 00:02 to 00:05").waitFor();
    const rows = viewer.getByRole("listitem");
    await expect.poll(() => rows.count(), { timeout: PATIENCE_MS }).toBe(inside.length);
    await page.getByRole("button", { name: "Reset" }).click();
    await expect.poll(() => rows.count(), { timeout: PATIENCE_MS }).toBe(samples.length);

    // Where nothing ran there is nothing, and it says so.
    await page.goto(`${shop}?window=500-510`);
    await viewer.getByText(/No recorded sample that finished from 08:20 to 08:30/).waitFor();
    await failures.getByText("No request finished from 08:20 to 08:30.").waitFor();
});

test("a run that was stopped before its end is not shown as passed", async () => {
    const spec = { name: "stopped early", url: `${target}/users`, load: { model: "open", rate: 20 }, duration: "10m" };
    const { id } = await post<{ id: string }>("/runs", { spec });
    const page = await open(`${server}/runs/${id}`);
    await expect
        .poll(() => page.locator('[data-figure="rate"] dd').innerText(), { timeout: PATIENCE_MS })
        .toMatch(/\d/);
    await post(`/runs/${id}/cancel?graceful=true`, {});
    // Or invalid, where the machine is too busy to measure.
    const word = /^(Stopped|Invalid)$/;
    await page.locator('[data-status="completed"]', { hasText: /Stopped|Invalid/ }).waitFor();
    await page.getByRole("button", { name: "Details" }).click();
    await page.getByText("no threshold on response times").waitFor();
    await page.goto(`${server}/?name=stopped+early`);
    const row = page.getByRole("list", { name: "Runs" }).getByRole("listitem").first();
    await row.getByText(word).waitFor();
    expect(await page.locator("main .text-pass").count()).toBe(0);
    await page.goto(`${server}/compare?a=${id}&b=${inject("shop")}`);
    await page.getByText(word).first().waitFor();
});

test("endpoints are drawn over each other, hidden one by one, and listed in figures", async () => {
    const page = await open(shop);
    const section = page.getByRole("region", { name: "Endpoints over time", exact: true });
    const chart = section.getByRole("img", { name: /^p95 of the response time of 3 endpoints/ });
    await chart.scrollIntoViewIfNeeded();
    const drawn = (): Promise<string> =>
        section.evaluate((all) => [...all.querySelectorAll("canvas")].map((each) => each.toDataURL()).join());
    await expect.poll(drawn, { timeout: PATIENCE_MS }).not.toBe("");
    await section.getByRole("img", { name: /^Completed requests per second of 3 endpoints/ }).waitFor();
    const legend = section.getByRole("group", { name: "Legend" });
    const before = await drawn();
    await legend.getByRole("button", { name: "flaky" }).click();
    await section.getByRole("img", { name: /^p95 of the response time of 2 endpoints/ }).waitFor();
    await page.mouse.move(0, 0);
    await expect.poll(drawn, { timeout: PATIENCE_MS }).not.toBe(before);
    await legend.getByRole("button", { name: "Show all" }).click();
    await chart.waitFor();
    const box = await chart.boundingBox();
    if (!box) throw new Error("there is no chart");
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await expect.poll(() => section.locator("dl dt").count(), { timeout: PATIENCE_MS }).toBe(3);

    await section.getByRole("button", { name: "p99", exact: true }).click();
    await section.getByRole("button", { name: "Show as table" }).click();
    const answer = (await (
        await fetch(`${server}/api/v1/runs/${inject("shop")}/intervals?endpoint=GET%20%2Fusers`)
    ).json()) as { points: { start: number; completed: number; latency: { p99_ms: number } }[] };
    const point = answer.points.find((each) => each.start === 2);
    const row = section.locator("tbody tr", { hasText: "00:02" });
    await row.waitFor();
    const [, p99, rate] = await row.locator("td").allInnerTexts();
    const [figure, unit] = (p99 ?? "").split(/\s/);
    const ms = number(figure ?? "") * ({ s: 1000, ms: 1, µs: 0.001 }[unit ?? ""] ?? Number.NaN);
    expect(ms).toBeCloseTo(Number(point?.latency.p99_ms.toPrecision(3)), 6);
    expect(number(rate ?? "")).toBeCloseTo(point?.completed ?? -1, 0);
    await page.goto(`${shop}?window=2-5`);
    await section.getByRole("button", { name: "Show as table" }).click();
    await expect.poll(() => section.locator("tbody tr").count(), { timeout: PATIENCE_MS }).toBe(3);
});

test("lists show how many endpoints a run has, or its URL with the values of variables", async () => {
    const spec = { name: "one", variables: { base: target }, url: "{{base}}/users", total_requests: 1 };
    await post("/runs", { spec });
    const page = await open(`${server}/`);
    const row = (name: string): Locator =>
        page.getByRole("listitem").filter({ has: page.getByRole("link", { name, exact: true }) });
    await row("one").getByText(`${target}/users`).first().waitFor();
    await row("shop").getByText("3 endpoints").waitFor();
    const { url } = (await (await fetch(`${server}/api/v1/runs/${inject("shop")}`)).json()) as { url: string };
    expect(url).toBe(`${target}/users`);
});

test("the window moves by keyboard", async () => {
    const page = await open(shop);
    const start = page.getByRole("slider", { name: "Window starts" });
    await start.focus();
    await start.press("ArrowRight");
    await start.press("ArrowRight");
    await page.locator('[data-window^="2-"]').waitFor();
    await start.press("Escape");
    await page.locator("[data-window]").waitFor({ state: "detached" });
});

test("an endpoint filters the whole page, and failures lead to their exchange", async () => {
    const page = await open(shop);
    await page.locator('[data-endpoint="flaky"] button').click();
    await expect.poll(() => new URL(page.url()).searchParams.get("endpoint"), { timeout: PATIENCE_MS }).toBe("flaky");
    await page.locator(".chip-on", { hasText: "Only this endpoint" }).waitFor();
    await page.getByRole("button", { name: "Show a sample" }).click();
    const viewer = page.getByRole("region", { name: "Requests" });
    await viewer.getByText("HTTP/1.1 503", { exact: false }).first().waitFor();
    await viewer.getByLabel("Outcome").selectOption("ok");
    await expect.poll(() => viewer.getByRole("listitem").first().innerText(), { timeout: PATIENCE_MS }).toMatch(/^200/);
});

test("a run is cancelled, with a key press", async () => {
    const { id } = await post<{ id: string }>("/runs", { spec: { ...SHOP(target), name: "long", duration: "10m" } });
    const page = await open(`${server}/runs/${id}`);
    await page.locator('[data-status="running"]').waitFor();
    await page.getByRole("button", { name: "Cancel" }).press("Enter");
    await page.locator('[data-status="cancelled"]').waitFor();
    await page.getByRole("group", { name: "Verdicts" }).getByText("Cancelled", { exact: true }).waitFor();
});

test("a run is run again, noted and tagged", async () => {
    const page = await open(shop);
    await page.getByLabel("Add a tag").fill("release 7");
    await page.getByLabel("Add a tag").press("Enter");
    await page.locator(".tag", { hasText: "release 7" }).waitFor();
    await page.getByLabel("Notes", { exact: true }).fill("after the deploy");
    await page.getByRole("button", { name: "Save notes" }).click();
    await page.getByRole("button", { name: "Save notes" }).waitFor({ state: "detached" });
    await page.reload();
    await expect
        .poll(() => page.getByLabel("Notes", { exact: true }).inputValue(), { timeout: PATIENCE_MS })
        .toBe("after the deploy");
    await page.getByRole("button", { name: "Remove release 7" }).click();
    await page.locator(".tag", { hasText: "release 7" }).waitFor({ state: "detached" });
    const before = page.url();
    await page.getByRole("button", { name: "Rerun" }).click();
    await expect.poll(() => page.url(), { timeout: PATIENCE_MS }).not.toBe(before);
    await page.locator('[data-status="completed"]').waitFor();
    await page.getByRole("link", { name: "Compare" }).waitFor();
});

test("results leave the page as JSON, reports, CSV and bundle", async () => {
    const page = await open(shop);
    await page.locator('[data-cell="response-p50"]').waitFor();
    for (const [name, beginning] of [
        ["Export whole run as JSON", '{"run":'],
        ["Save report as Markdown", "## "],
        ["Save report as HTML", "<!doctype html>"],
        ["Save report as PDF", "%PDF-"],
        ["Export time series as CSV", "start_seconds,"],
        ["Export as bundle", "\u001f"],
    ] as const) {
        await page.getByRole("button", { name: "More" }).click();
        const [download] = await Promise.all([
            page.waitForEvent("download"),
            page.getByRole("menuitem", { name }).click(),
        ]);
        const text = (await content(download)).toString("latin1");
        expect(text.slice(0, beginning.length), name).toBe(beginning);
    }
});
