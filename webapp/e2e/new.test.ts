// How a test is made: in the form, as text, from curl, by keyboard.
import { describe, expect, it } from "vitest";

import { until } from "./server";
import { api, at, ran, target } from "./shared";

describe("a new test", () => {
    it("is written in the form, checked by the server, tried once and started", async () => {
        const page = await at("/new");
        await page.getByLabel("URL", { exact: true }).fill("nope");
        expect(await page.getByText("has no scheme").count()).toBe(0);
        await page.getByLabel("URL", { exact: true }).blur();
        // At its field and in the list, each with what to do.
        await page.locator("[id$=-error]", { hasText: "has no scheme" }).waitFor();
        await page.getByRole("button", { name: /has no scheme/ }).waitFor();
        await page.getByLabel("URL", { exact: true }).fill(`${target}/users`);
        await page.getByText("Ready to run").waitFor();
        await page.getByRole("button", { name: /^Steady/ }).click();
        await page.getByLabel("Rate", { exact: true }).first().fill("25");
        await page.getByLabel("Duration", { exact: true }).fill("2 s");
        await page.getByTestId("sentence").getByText("50 requests in 2 s").waitFor();
        await page.getByText("Show as table").click();
        expect(await page.getByRole("region", { name: "The offered load, as a table" }).innerText()).toMatch(
            /00:02\s+25/,
        );
        await page.getByRole("button", { name: "p99 < 300ms" }).click();
        await page.getByLabel("Threshold 1").fill("p99 < 5s");
        await page.getByRole("button", { name: "Dry run" }).click();
        await page.getByRole("region", { name: "Response" }).getByText("Barbara").waitFor();
        await page.getByRole("button", { name: "Start", exact: true }).click();
        await page.waitForURL(/\/runs\/[0-9a-f]+/);
        const id = page.url().split("/").at(-1) ?? "";
        const run = await api<{ spec: Record<string, unknown>; name: string }>(`/runs/${id}`);
        expect(run.name).toBe("GET /users");
        expect(run.spec.load).toMatchObject({ model: "open", rate: 25 });
    });

    it("goes to the first problem instead of starting, and keeps it in step with the text", async () => {
        const page = await at("/new");
        await page.getByRole("button", { name: "Start", exact: true }).click();
        await page.getByText("neither url nor endpoints").first().waitFor();
        await page.waitForFunction(() => (document.activeElement as HTMLElement | null)?.dataset.path === "url");
        await page.getByRole("tab", { name: "YAML" }).click();
        const text = page.getByLabel("The spec as YAML");
        await text.fill(
            `name: by hand # kept\nurl: ${target}/users\nheaders:\n  X-Trace: "{{missing}}"\nrequests_per_second: 5\nduration: 1s\n`,
        );
        await page.getByRole("button", { name: /missing\}\} is not defined/ }).waitFor();
        expect(await page.getByLabel("Test name").inputValue()).toBe("by hand");
        expect(await page.getByLabel("Rate", { exact: true }).first().inputValue()).toBe("5");
        await page.getByRole("button", { name: /missing\}\} is not defined/ }).click();
        await page.waitForFunction(
            () => (document.activeElement as HTMLElement | null)?.dataset.path === "headers.X-Trace",
        );
        await page.getByLabel("Value of header X-Trace").fill("{{uuid}}");
        await page.getByText("Ready to run").waitFor();
        const written = await text.inputValue();
        expect(written).toContain("# kept");
        expect(written).toContain("{{uuid}}");
        await text.fill("name: [");
        await page.getByText("The form shows the last valid text").waitFor();
        expect(await page.getByLabel("Test name").inputValue()).toBe("by hand");
        await page.getByRole("tab", { name: "JSON" }).click();
        await page
            .getByLabel("The spec as JSON")
            .fill(JSON.stringify({ name: "as json", url: `${target}/users`, concurrency: 2 }));
        await page.getByText("Ready to run").waitFor();
        expect(await page.getByLabel("Test name").inputValue()).toBe("as json");
        expect(await page.getByLabel("Users", { exact: true }).inputValue()).toBe("2");
        // A reload keeps the draft.
        await page.reload();
        await page.getByText("Draft restored").waitFor();
        expect(await page.getByLabel("Test name").inputValue()).toBe("as json");
    });

    it("is started by a press under which a problem goes away", async () => {
        const page = await at("/new");
        await page.getByLabel("URL", { exact: true }).fill("nope");
        await page.getByLabel("URL", { exact: true }).blur();
        await page.getByRole("button", { name: /has no scheme/ }).waitFor();
        await page.getByLabel("URL", { exact: true }).fill(`${target}/users`);
        // Pressing leaves the field, and the server has answered before a finger is up again.
        await page.getByRole("button", { name: "Start", exact: true }).click({ delay: 800 });
        await page.waitForURL(/\/runs\/[0-9a-f]+/);
        await api(`/runs/${page.url().split("/").at(-1)}/cancel`, {});
    });

    it("has each problem at its field, and a line under each name that is not defined", async () => {
        const page = await at("/new");
        await page.getByRole("tab", { name: "YAML" }).click();
        const text = page.getByLabel("The spec as YAML");
        await text.fill(
            JSON.stringify({
                name: "wrong",
                headers: { "X-Trace": "a {{missing}}", "X-Fine": "{{uuid}}" },
                auth: { type: "bearer_token", token: "{{env:NOT_SET_ANYWHERE}} {{nowhere}}" },
                variables: { nested: "{{nested}}" },
                endpoints: [
                    { name: "one", url: `${target}/{{lost}}/{{uuid}}`, weight: -1, thresholds: ["p99 << 5"] },
                    {
                        name: "two",
                        url: `${target}/`,
                        method: "POST",
                        body: { deep: ["{{gone}}"] },
                        expected_status_codes: ["9xx"],
                    },
                ],
                load: { model: "open", rate: -5, arrival: "never" },
                distribution_strategy: "weighted",
                duration: "soon",
                timeout: "later",
                engine: "steam",
                http_version: "3",
                redirects: -1,
                seed: "x",
                thresholds: ["p99 < 300 apples"],
            }),
        );
        const problems = page.locator("aside [aria-live] li > button:first-child");
        await page.getByRole("button", { name: "Start", exact: true }).click();
        await page.getByText(/^1\d problems$/).waitFor();
        const astray: string[] = [];
        for (const problem of await problems.all()) {
            await problem.click();
            const rows = (await problem.innerText()).split("\n");
            const message = (rows[0] ?? "").replace(/^✗ /, "");
            const field = page.locator(":focus");
            const where = await field.getAttribute("data-path");
            const described = await field.getAttribute("aria-describedby");
            const wrong = await field.getAttribute("aria-invalid");
            const error = described ? await page.locator(`[id="${described}"]`).innerText() : "";
            if (wrong !== "true" || !error.includes(message)) astray.push(`${rows.join(" | ")} -> ${where}: ${error}`);
        }
        expect(astray).toEqual([]);
        for (const name of ["missing", "lost", "gone", "nowhere"])
            expect(await page.locator(".unknown", { hasText: name }).count(), name).toBe(1);
        expect(await page.locator(".unknown", { hasText: "uuid" }).count()).toBe(0);
        await page.getByRole("button", { name: "Define lost" }).first().click();
        await page.waitForFunction(
            () => (document.activeElement as HTMLElement | null)?.dataset.path === "variables.lost",
        );
        await page.locator(".unknown", { hasText: "lost" }).waitFor({ state: "detached" });
    });

    it("comes from a pasted curl command, which says what it leaves out, and is saved", async () => {
        const page = await at("/new");
        const command = `curl -X POST '${target}/orders' -H 'Content-Type: application/json' -H 'Authorization: Bearer hush' --data-raw '{"item":"book"}' --compressed -v`;
        await page.getByLabel("URL", { exact: true }).focus();
        await page.evaluate((text) => {
            const data = new DataTransfer();
            data.setData("text/plain", text);
            document.activeElement?.dispatchEvent(
                new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }),
            );
        }, command);
        await page.getByText("This is a curl command: POST").waitFor();
        await page.getByRole("button", { name: "Fill the form" }).click();
        expect(await page.getByLabel("URL", { exact: true }).inputValue()).toBe(`${target}/orders`);
        expect(await page.getByLabel("Method", { exact: true }).inputValue()).toBe("POST");
        expect(await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }))).not.toContain("hush");
        await page.getByLabel("Test name").fill("from curl");
        await page.getByText("Ready to run").waitFor();
        await page.getByRole("button", { name: "Save as test" }).click();
        await page.waitForURL(/^[^?]*\/tests$/);
        await page.getByRole("link", { name: "from curl", exact: true }).waitFor();
        const test = await api<{ spec: { headers: Record<string, string>; body: unknown } }>("/tests/from%20curl");
        expect(test.spec.headers.Authorization).toBe("***");
    });

    it("comes back after a reload with its secrets to be entered again, and does not start without them", async () => {
        const page = await at("/new");
        await page.getByRole("tab", { name: "YAML" }).click();
        await page.getByLabel("The spec as YAML").fill(
            JSON.stringify({
                url: `${target}/users`,
                headers: { Cookie: "s=hush", "X-Trace": "1" },
                auth: { type: "basic", username: "me", password: "hush" },
                duration: "1s",
            }),
        );
        await page.getByText("Ready to run").waitFor();
        await page.reload();
        await page.getByText("2 secrets were not saved with the draft").waitFor();
        expect(await page.evaluate(() => JSON.stringify({ ...sessionStorage }))).not.toContain("hush");
        await page.getByRole("button", { name: "Start", exact: true }).click();
        await page.waitForFunction(
            () => (document.activeElement as HTMLElement | null)?.dataset.path === "headers.Cookie",
        );
        // Not with the next reload either.
        await page.reload();
        await page.getByText("2 secrets were not saved with the draft").waitFor();
        await page.getByRole("button", { name: "headers.Cookie", exact: true }).click();
        await page.keyboard.press("Tab");
        await page.keyboard.type("s=hush");
        await page.getByRole("button", { name: "auth.password", exact: true }).click();
        await page.keyboard.type("hush");
        await page.getByText("Ready to run").waitFor();
        expect(await page.getByText("not saved with the draft").count()).toBe(0);
        await page.getByRole("button", { name: "Start", exact: true }).click();
        await page.waitForURL(/\/runs\//);
        await api(`/runs/${page.url().split("/").at(-1)}/cancel`, {});
    });

    it("is saved from a run with the credentials that the page never saw", async () => {
        const spec = {
            name: "kept whole",
            url: `${target}/auth/bearer?token=hush`,
            auth: { type: "bearer_token", token: "hush" },
            total_requests: 1,
            thresholds: ["error_rate < 1%"],
        };
        const id = await ran(spec);
        const page = await at(`/edit/${id}`);
        await page.getByText("*** is a stored credential").waitFor();
        await page.getByRole("button", { name: "Save as test" }).click();
        await page.waitForURL(/^[^?]*\/tests$/);
        const again = await api<{ id: string }>("/tests/kept%20whole/run", {});
        await until("the end of its run", async () => {
            const run = await api<{ status: string; passed: boolean | null }>(`/runs/${again.id}`);
            return run.status === "completed" && run.passed;
        });
    });

    it("of several endpoints is made by keyboard alone", async () => {
        const page = await at("/new");
        await page.getByLabel("URL", { exact: true }).fill(`${target}/users`);
        await page.getByRole("button", { name: "Several endpoints" }).focus();
        await page.keyboard.press("Enter");
        await page.getByRole("button", { name: "Add endpoint" }).focus();
        await page.keyboard.press("Enter");
        await page.waitForFunction(
            () => (document.activeElement as HTMLElement | null)?.dataset.path === "endpoints[1].url",
        );
        await page.keyboard.press("End");
        await page.keyboard.type("fixed");
        await page.keyboard.press("Tab");
        await page.getByLabel("Order of requests").selectOption("weighted");
        await page.getByLabel("Weight").first().fill("3");
        await page.getByText("Ready to run").waitFor();
        await page.getByRole("tab", { name: "Preview" }).focus();
        await page.keyboard.press("ArrowRight");
        const text = await page.getByLabel("The spec as YAML").inputValue();
        expect(text).toContain("GET /fixed");
        expect(text).toContain("weight: 3");
        await page.getByLabel("Duration", { exact: true }).fill("1s");
        await page.keyboard.press("Control+Enter");
        await page.waitForURL(/\/runs\//);
    });
});
