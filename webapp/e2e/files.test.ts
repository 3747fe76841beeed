// A test with data files, a form, GraphQL, setup and stages, written in the form, saved, completed with files, and run.
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";

import { content, faults } from "./browser";
import { until } from "./server";
import { api, at, server, target } from "./shared";

const field = (page: Page, path: string) => page.locator(`[data-path="${path}"]`);

function written(name: string, content: string): string {
    const path = join(mkdtempSync(join(tmpdir(), "atm-files-")), name);
    writeFileSync(path, content);
    return path;
}

describe("files of a test", () => {
    it("are uploaded in the form, previewed, offered where their columns can be used, and sent", async () => {
        const page = await at("/new");
        await field(page, "url").fill(`${target}/shop/products`);
        await page.getByRole("button", { name: "Scenarios", exact: true }).click();
        await field(page, "name").fill("with files");
        await page.getByRole("button", { name: "Add test data" }).click();
        await page.keyboard.type("logins");
        await page.keyboard.press("Enter");
        const data = page.getByRole("region", { name: "Data logins" });
        // Rows of the spec itself need no file.
        await data.getByRole("region", { name: "Rows of logins" }).waitFor();
        await data.getByRole("button", { name: "File", exact: true }).click();
        expect(await field(page, "data.logins.file").inputValue()).toBe("logins.csv");
        await data.getByRole("button", { name: "Save, then upload" }).click();

        await page.waitForURL(/\/edit\/[0-9a-f-]+\?test/);
        const test = /edit\/([0-9a-f-]+)/.exec(page.url())?.[1] ?? "";
        await data.getByText("(not uploaded)").waitFor({ state: "attached" });
        await data
            .getByLabel("Upload a file for File")
            .setInputFiles(written("logins.csv", "name,password\nada,secret\nbob,secret\ncid,secret\n"));
        const rows = data.getByRole("region", { name: "Rows of logins" });
        await rows.waitFor();
        expect(await rows.locator("th").allInnerTexts()).toEqual(["name", "password"]);
        await expect.poll(() => rows.locator("tbody tr").count()).toBe(3);
        await data.getByText("3 rows").waitFor();
        await data.getByLabel("Which row").selectOption("once");

        // What was saved is in one spelling: url and method.
        const line = field(page, "scenarios.journey.steps[0].url");
        await line.fill("");
        await line.pressSequentially("/shop/products?q={{log");
        const offered = page.getByRole("listbox", { name: "Names for" }).getByRole("option");
        await offered.first().waitFor();
        expect(await offered.allInnerTexts()).toEqual(["logins.name", "logins.password"]);
        await page.keyboard.press("Enter");
        expect(await line.inputValue()).toBe("/shop/products?q={{logins.name}}");

        // A body of several parts, one of them another file.
        await page.getByRole("button", { name: "Request", exact: true }).first().click();
        await page.keyboard.type("/shop/upload");
        const second = page.getByRole("list", { name: "Steps of journey" }).locator(":scope > li").nth(1);
        await second.getByLabel("Method").fill("POST");
        await second.getByText("Body", { exact: true }).click();
        await second.getByLabel("Kind of body").selectOption("multipart");
        await second.getByRole("button", { name: "Add file" }).click();
        await page.keyboard.type("photo");
        await second.getByLabel("Upload a file for File of part photo").setInputFiles(written("photo.svg", "<svg/>"));
        await until("the uploaded photo", async () => {
            const { files } = await api<{ files: { name: string }[] }>(`/tests/${test}/files`);
            return files.some(({ name }) => name === "photo.svg");
        });

        await page.getByText("Setup and teardown", { exact: true }).click();
        const setup = page.getByText("Once before the load").locator("..");
        await setup.getByRole("button", { name: "Request", exact: true }).click();
        await page.keyboard.type("/shop/health");
        await page.getByText("Ready to run").waitFor();
        expect(await faults(page)).toEqual([]);

        await field(page, "load.users").fill("1");
        await page.getByRole("button", { name: "Save and run" }).click();
        await page.waitForURL(/\/runs\/[0-9a-f]+/);
        const id = page.url().split("/").at(-1) ?? "";
        await until("the end of the run", async () => {
            const { status } = await api<{ status: string }>(`/runs/${id}`);
            return status === "completed";
        });
        const run = await api<{ files: Record<string, string> }>(`/runs/${id}`);
        expect(Object.keys(run.files).toSorted()).toEqual(["logins.csv", "photo.svg"]);
        const result = await api<{
            scenarios: { completed: number; failed: number }[];
            data: { rows_used: number }[];
            setup: { status: string } | null;
        }>(`/runs/${id}/result`);
        expect(result.scenarios.map(({ completed, failed }) => [completed, failed])).toEqual([[3, 0]]);
        expect(result.setup).not.toBeNull();
        // The page has each file with its digest, and of test data the rows.
        await page
            .locator("summary")
            .filter({ hasText: /^\s*Files/ })
            .click();
        const used = page.getByRole("list", { name: "Files of this run" }).getByRole("listitem");
        await used.filter({ hasText: run.files["photo.svg"] }).waitFor();
        // The rows are in the result, which the page asks for on its own.
        await used.filter({ hasText: run.files["logins.csv"] }).filter({ hasText: "rows of" }).waitFor();
        expect(await faults(page)).toEqual([]);
    });

    it("bodies, stages and steps before each user are fields, and stay as they are written", async () => {
        const page = await at("/new");
        await page.getByRole("tab", { name: "YAML" }).click();
        const text = [
            "name: all kinds",
            `base_url: ${target}`,
            "teardown:",
            "  - GET: /shop/health",
            "scenarios:",
            "  buy:",
            "    load:",
            "      model: closed",
            "      stages:",
            "        - duration: 10s",
            "          target: 5",
            "    before_user:",
            "      - POST: /shop/login",
            "        form:",
            "          name: ada",
            "          password: secret",
            "    steps:",
            "      - POST: /shop/graphql",
            "        graphql:",
            "          query: |-",
            "            query item($id: ID!) {",
            "              product(id: $id) { name }",
            "            }",
            "          variables:",
            "            id: 1",
            "",
        ].join("\n");
        await page.getByLabel("The spec as YAML").fill(text);
        const steps = page.getByRole("list", { name: "Steps of buy" });
        await steps.getByRole("button", { name: "Headers, body, extracts, checks of" }).click();
        expect(await field(page, "scenarios.buy.steps[0].graphql.query").inputValue()).toContain(
            "query item($id: ID!)",
        );
        await field(page, "scenarios.buy.steps[0].graphql.variables").fill('{"id": 2}');
        await page.locator("summary").filter({ hasText: "Before each user" }).click();
        const before = page.getByRole("list", { name: "Steps before each user of buy" });
        await before.getByRole("button", { name: "Headers, body, extracts, checks of" }).click();
        expect(await before.getByLabel("Value of field name").inputValue()).toBe("ada");
        await before.getByLabel("Value of field name").fill("bob");
        const stages = page.getByRole("group", { name: "Stages of buy" });
        await stages.getByRole("button", { name: "Add stage" }).click();
        await page.keyboard.press("ControlOrMeta+a");
        await page.keyboard.type("20");
        await page.locator("summary").filter({ hasText: "Setup and teardown" }).click();
        expect(await field(page, "teardown[0].GET").inputValue()).toBe("/shop/health");
        await page.getByText("Ready to run").waitFor();
        const changed = text
            .replace("id: 1", "id: 2")
            .replace("name: ada", "name: bob")
            .replace("          target: 5\n", "          target: 5\n        - duration: 30s\n          target: 20\n");
        const shown = await page.getByLabel("The spec as YAML").inputValue();
        for (const line of changed.split("\n")) expect(shown).toContain(line.trim());
        expect(await faults(page)).toEqual([]);
    });

    it("are listed with the test, downloaded as they were uploaded, and deleted", async () => {
        const spec = {
            base_url: target,
            data: { logins: { file: "logins.csv" } },
            scenarios: { journey: { steps: [{ GET: "/shop/products?q={{logins.name}}" }] } },
        };
        const { id } = await api<{ id: string }>("/tests", { spec: { name: "listed files", ...spec } });
        for (const name of ["logins.csv", "old.csv"]) {
            const put = { method: "PUT", body: `name\n${name}\n` };
            expect((await fetch(`${server}/api/v1/tests/${id}/files/${name}`, put)).ok).toBe(true);
        }
        const page = await at(`/edit/${id}?test`);
        const listed = page.getByRole("list", { name: "Files of this test" });
        await listed.getByText("old.csv").waitFor();
        await expect
            .poll(() => listed.getByRole("listitem").filter({ hasText: "not named in the spec" }).count())
            .toBe(1);

        const [download] = await Promise.all([page.waitForEvent("download"), listed.getByText("logins.csv").click()]);
        expect((await content(download)).toString("utf8")).toBe("name\nlogins.csv\n");

        await listed.getByRole("button", { name: "Delete old.csv" }).click();
        await listed.getByText("old.csv").waitFor({ state: "detached" });
        await until("the deletion", async () => {
            const { files } = await api<{ files: { name: string }[] }>(`/tests/${id}/files`);
            return files.map(({ name }) => name).join() === "logins.csv";
        });
        expect(await faults(page)).toEqual([]);
    });
});
