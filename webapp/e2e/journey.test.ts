// A journey through a shop, written by hand in the form: list, extract, open, check.
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";

import { faults } from "./browser";
import { until } from "./server";
import { api, at, target } from "./shared";

interface Result {
    endpoint_metrics: { endpoint: string }[];
    checks: { name: string; endpoint: string; passed: number; failed: number }[];
    scenarios: { name: string; completed: number }[];
}

const field = (page: Page, path: string) => page.locator(`[data-path="${path}"]`);

describe("a journey", () => {
    it("is written in the form, tried, run, and seen in the result", async () => {
        const page = await at("/new");
        await field(page, "url").fill(`${target}/shop/products?size=5`);
        await page.getByRole("button", { name: "Scenarios", exact: true }).click();
        // The request is kept, and its origin is what further URLs continue.
        expect(await field(page, "base_url").inputValue()).toBe(target);
        const first = "scenarios.journey.steps[0]";
        expect(await field(page, `${first}.GET`).inputValue()).toBe("/shop/products?size=5");
        await field(page, `${first}.name`).fill("list");
        await page.getByRole("button", { name: "Headers, body, extracts, checks of list" }).click();
        const list = page.getByRole("list", { name: "Steps of journey" }).locator(":scope > li").first();
        await list.getByText("Extract", { exact: true }).click();
        await list.getByRole("button", { name: "Add variable" }).click();
        await page.keyboard.type("product");
        await list.getByLabel("JSONPath of product").fill("$.items[*].id");
        await list.getByLabel("Which match of product").selectOption("last");
        await list.getByText("Checks", { exact: true }).click();
        await list.getByRole("button", { name: "status == 200" }).click();

        await page.getByRole("button", { name: "Request", exact: true }).click();
        const second = "scenarios.journey.steps[1]";
        await page.waitForFunction(
            (path) => (document.activeElement as HTMLElement | null)?.dataset.path === path,
            `${second}.GET`,
        );
        // What the step before extracts is offered first.
        await page.keyboard.type("/shop/products/{{");
        const offered = page.getByRole("listbox", { name: "Names for" }).getByRole("option");
        await offered.first().waitFor();
        expect(await offered.allInnerTexts()).toEqual(["product", "uuid", "random_int", "iteration", "user"]);
        await page.keyboard.press("Enter");
        expect(await field(page, `${second}.GET`).inputValue()).toBe("/shop/products/{{product}}");
        await field(page, `${second}.name`).fill("open");
        const open = page.getByRole("list", { name: "Steps of journey" }).locator(":scope > li").nth(1);
        await open.getByText("Checks", { exact: true }).click();
        await open.getByRole("button", { name: "Add check" }).click();
        await page.keyboard.type("$.stock exits");
        await open.getByLabel("Name of check 1").fill("in stock known");
        await open.getByLabel("Name of check 1").blur();
        // The server's word on it stands at its row.
        await open.locator("[id*=-error-]").waitFor();
        expect(await open.getByLabel("Check 1", { exact: true }).getAttribute("aria-invalid")).toBe("true");
        await open.getByLabel("Check 1", { exact: true }).fill("$.stock exists");
        await page.getByText("Ready to run").waitFor();

        await page.getByRole("tab", { name: "YAML" }).click();
        expect(await page.getByLabel("The spec as YAML").inputValue()).toContain(
            [
                "scenarios:",
                "  journey:",
                "    steps:",
                "      - GET: /shop/products?size=5",
                "        name: list",
                "        extract:",
                "          product: $.items[*].id | last",
                "        checks:",
                "          - status == 200",
                "      - GET: /shop/products/{{product}}",
                "        name: open",
                "        checks:",
                "          in stock known: $.stock exists",
            ].join("\n"),
        );
        expect(await faults(page)).toEqual([]);

        await page.getByRole("button", { name: "Dry run" }).click();
        const answer = page.getByRole("region", { name: "Response", exact: true });
        await answer.getByText("journey/open").first().waitFor();
        await expect.poll(() => answer.innerText()).toContain("/shop/products/5");
        const checks = answer.getByRole("list", { name: "Checks of journey/open" });
        await expect.poll(() => checks.getByRole("img", { name: "passed" }).count()).toBe(1);
        await expect.poll(() => checks.innerText()).toContain("in stock known");

        await field(page, "duration").fill("1s");
        await field(page, "load.users").fill("2");
        await page.getByRole("button", { name: "Start", exact: true }).click();
        await page.waitForURL(/\/runs\/[0-9a-f]+/);
        const id = page.url().split("/").at(-1) ?? "";
        await until("the end of the run", async () => {
            const run = await api<{ status: string }>(`/runs/${id}`);
            return run.status === "completed";
        });
        const result = await api<Result>(`/runs/${id}/result`);
        expect(result.scenarios[0]?.completed).toBeGreaterThan(0);
        expect(result.checks.map(({ name, failed }) => [name, failed])).toEqual([
            ["status == 200", 0],
            ["in stock known", 0],
        ]);
        await page.getByRole("heading", { name: "Checks" }).waitFor();
        await page.getByText("in stock known").first().waitFor();
        // Requests of one iteration have one number, and each is listed and can be opened.
        const samples = page.getByRole("list", { name: "Recorded samples" });
        await samples.waitFor();
        const opened = samples.getByRole("button").filter({ hasText: "journey/open" }).first();
        await opened.click();
        expect(await opened.getAttribute("aria-pressed")).toBe("true");
        await expect.poll(() => samples.locator("[aria-pressed=true]").count()).toBe(1);
    });

    it("opens with parts that the form does not know, and keeps them", async () => {
        const page = await at("/new");
        await page.getByRole("tab", { name: "YAML" }).click();
        const text = page.getByLabel("The spec as YAML");
        const steps = [
            { GET: "/fixed", name: "a", form: { b: "c" }, compress: "gzip" },
            { think: "10ms" },
            { repeat: 2, steps: [{ GET: "/users", name: "b" }] },
            { GET: "/both", think: "1s" },
        ];
        const spec = { name: "odd", base_url: target, scenarios: { visit: { steps } }, duration: "1s" };
        await text.fill(JSON.stringify(spec));
        const list = page.getByRole("list", { name: "Steps of visit" });
        await list.getByText("think: 1s").waitFor();
        await list.getByText("compress: gzip").waitFor();
        // By keyboard: the wait goes below the loop, and the cursor stays with it.
        await field(page, "scenarios.visit.steps[1].think").focus();
        await page.keyboard.press("Alt+ArrowDown");
        await page.waitForFunction(
            () => (document.activeElement as HTMLElement | null)?.dataset.path === "scenarios.visit.steps[2].think",
        );
        await page.getByRole("button", { name: "More for step 4" }).click();
        await page.getByRole("menuitem", { name: "Remove" }).click();
        await page.getByLabel("Scenario", { exact: true }).fill("tour");
        await page.keyboard.press("Enter");
        await page.getByRole("button", { name: "More for b", exact: true }).click();
        await page.getByRole("menuitem", { name: "Duplicate" }).click();
        await page.keyboard.type("/fixed");
        await page.getByText("Ready to run").waitFor();
        const { parse } = await import("yaml");
        expect(parse(await text.inputValue())).toEqual({
            ...spec,
            scenarios: {
                tour: {
                    steps: [
                        steps[0],
                        {
                            repeat: 2,
                            steps: [
                                { GET: "/users", name: "b" },
                                { GET: "/users/fixed", name: "b 2" },
                            ],
                        },
                        steps[1],
                    ],
                },
            },
        });
    });

    it("moves a step by its handle, with a mouse and with a finger", async () => {
        const steps = ["a", "b", "c"].map((name) => ({ GET: `/fixed?${name}`, name }));
        const spec = { name: "drag", base_url: target, scenarios: { visit: { steps } }, duration: "1s" };
        for (const hasTouch of [false, true]) {
            const page = await at("/new", { hasTouch });
            await page.getByRole("tab", { name: "YAML" }).click();
            const text = page.getByLabel("The spec as YAML");
            await text.fill(JSON.stringify(spec));
            const list = page.getByRole("list", { name: "Steps of visit" });
            const middle = async (number: number) => {
                const box = await list.locator(`[data-handle="${number}"]`).boundingBox();
                if (!box) throw new Error(`step ${number} has no handle`);
                return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
            };
            const drag = async (from: number, to: number, past: number) => {
                await list.locator('[data-handle="1"]').scrollIntoViewIfNeeded();
                const [begin, end] = [await middle(from), await middle(to)];
                if (hasTouch) {
                    const session = await page.context().newCDPSession(page);
                    const touch = (type: "touchStart" | "touchMove" | "touchEnd", y: number) =>
                        session.send("Input.dispatchTouchEvent", {
                            type,
                            touchPoints: type === "touchEnd" ? [] : [{ x: begin.x, y }],
                        });
                    await touch("touchStart", begin.y);
                    await touch("touchMove", (begin.y + end.y) / 2);
                    await touch("touchMove", end.y + past);
                    await touch("touchEnd", 0);
                } else {
                    await page.mouse.move(begin.x, begin.y);
                    await page.mouse.down();
                    await page.mouse.move(begin.x, end.y + past, { steps: 4 });
                    await page.mouse.up();
                }
            };
            const names = () =>
                list
                    .getByRole("textbox", { name: /^Name of step/ })
                    .evaluateAll((fields) => fields.map((field) => (field as HTMLInputElement).value).join(""));
            await drag(1, 3, 40);
            await until("the first step to be last", async () => (await names()) === "bca");
            await drag(3, 2, -40);
            await until("the last step to be second", async () => (await names()) === "bac");
            if (hasTouch) continue;
            // Escape leaves everything as it was.
            const [begin, end] = [await middle(1), await middle(3)];
            await page.mouse.move(begin.x, begin.y);
            await page.mouse.down();
            await page.mouse.move(begin.x, end.y + 40, { steps: 4 });
            await list.locator("li.drop").waitFor({ state: "attached" });
            await page.keyboard.press("Escape");
            await page.mouse.up();
            expect(await list.locator("li.drop").count()).toBe(0);
            expect(await names()).toBe("bac");
        }
    });
});
