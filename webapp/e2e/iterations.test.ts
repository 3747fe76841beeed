import { expect, test } from "vitest";

import { at, ran, target } from "./shared";

const login = {
    POST: "/echo",
    name: "login",
    json: { user: "{{iteration}}" },
    extract: { token: "$.missing | default hidden-value", path: "$.target" },
    checks: { answered: "status == 200", late: { check: "time > 10m", counts_only: true } },
};

const SPEC = {
    name: "whole iterations",
    base_url: target,
    concurrency: 1,
    total_requests: 6,
    scenarios: {
        visit: {
            steps: [login, { think: "20ms" }, { GET: "/status/503", name: "pay" }, { GET: "/users", name: "list" }],
        },
    },
};

test("the waterfall of an iteration shows each step, and a step its request, answer, checks and values", async () => {
    const id = await ran(SPEC);
    for (const width of [1280, 390]) {
        const page = await at(`/runs/${id}`, { viewport: { width, height: 900 } });
        const section = page.getByRole("region", { name: "Iterations", exact: true });
        await section.scrollIntoViewIfNeeded();
        const rows = section.locator("[data-iteration]");
        await rows.first().waitFor();
        // One with a failure is open first, at its failed step.
        await section.getByRole("heading", { name: /visit, iteration 3/ }).waitFor();
        const steps = section.locator("[data-step]");
        await expect.poll(() => steps.count()).toBe(3);
        expect(await section.locator('[data-step="1"]').getAttribute("aria-expanded")).toBe("true");
        await section.getByText("503, expected").waitFor();
        await expect.poll(() => section.locator('[data-step="1"] .think').count()).toBe(1);

        await section.locator('[data-step="0"]').click();
        const details = section.locator('[data-step-details="0"]');
        await details.getByText("POST /echo HTTP/1.1").first().waitFor();
        await details.getByText('"user": "3"').first().waitFor();
        const checks = details.getByRole("list", { name: "Checks of visit/login" });
        await expect.poll(() => checks.getByRole("listitem").count()).toBe(2);
        const values = (await details.locator("dl").innerText()).split("\n");
        expect(values).toEqual(["token", "***", "path", "/echo"]);

        // By keyboard: down to the next step, and open it; in the list, down to the next iteration.
        await section.locator('[data-step="1"]').focus();
        await page.keyboard.press("ArrowDown");
        await page.keyboard.press("Enter");
        await section.locator('[data-step-details="2"]').getByText("GET /users HTTP/1.1").first().waitFor();
        await rows.first().focus();
        await rows.first().press("Enter");
        await section.getByRole("heading", { name: /visit, iteration 1/ }).waitFor();
        await page.keyboard.press("ArrowDown");
        await section.getByRole("heading", { name: /visit, iteration 2/ }).waitFor();
        expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)).toBe(true);
    }
});
