// The page to write GraphQL operations in: completion, answers and documentation, without any other host.
import { expect, inject, test } from "vitest";

import { open } from "./browser";

const server = inject("server");

test("an operation is answered on the page, which loads nothing from elsewhere", async () => {
    const page = await open(`${server}/graphql`);
    const elsewhere: string[] = [];
    page.on("request", (request) => {
        if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(server)) elsewhere.push(request.url());
    });
    await page.reload();
    await page.locator(".graphiql-query-editor").getByText("requestsPerSecond").waitFor();
    await page.getByRole("button", { name: /^Execute query/ }).click();
    await page.locator(".result-window").getByText("totalCount").waitFor();
    await page.getByRole("button", { name: /Documentation Explorer/ }).click();
    await page
        .getByText("Reads; the same as the GET routes of the REST API.")
        .or(page.getByText("Root Types"))
        .first()
        .waitFor();
    expect(elsewhere).toEqual([]);
    await page.setViewportSize({ width: 390, height: 800 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(391);
});
