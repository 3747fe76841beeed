import { afterAll, beforeAll, expect, inject, test } from "vitest";

import { open } from "./browser";
import { ApiServer } from "./server";

const target = inject("target");
const MARKUP = `<img src=x onerror="window.owned=1"><script>window.owned=1</script>`;
const BACKWARDS = "\u202eliaf\u202c شراء 🧨";
let server: ApiServer;
let id: string;

beforeAll(async () => {
    server = await new ApiServer().open();
    id = await server.run(
        {
            name: `${MARKUP}${BACKWARDS}${"long".repeat(20)}`,
            endpoints: [
                {
                    name: `echo ${MARKUP}`,
                    url: `${target}/echo`,
                    method: "POST",
                    headers: { "X-Evil": MARKUP },
                    body: `${MARKUP}${BACKWARDS}`,
                },
                { name: `status ${BACKWARDS}`, url: `${target}/status/500` },
            ],
            total_requests: 20,
            thresholds: ["p99 < 99999999s", "rps > 0.000001", "error_rate < 1%"],
        },
        [MARKUP.slice(0, 100), BACKWARDS],
    );
    await server.ended(id);
    await server.ask("PATCH", `/runs/${id}`, { notes: MARKUP });
});

afterAll(() => server.close());

test.each(["/", "/?status=", "/run", "/tests", "/compare"])("what is hostile is text on %s", async (path) => {
    // Of a busy machine the outcome may be invalid rather than failed.
    const { outcome } = (await server.ask("GET", `/runs/${id}`)) as { outcome: string };
    const addresses: Record<string, string> = {
        "/?status=": `/?status=${outcome}`,
        "/run": `/runs/${id}`,
        "/compare": `/compare?a=${id}&b=${id}`,
    };
    const address = addresses[path] ?? path;
    if (path === "/tests") await server.ask("POST", "/tests/sync");
    const page = await open(`${server.url}${address}`);
    // The options of a closed list hold it too, but hidden.
    await page.locator("main").getByText("<img src=x").filter({ visible: true }).first().waitFor();
    if (path === "/run") {
        const viewer = page.getByRole("region", { name: "Requests" });
        await viewer.getByRole("listitem").filter({ hasText: "echo" }).getByRole("button").first().click();
        await viewer.getByText("window.owned=1").filter({ visible: true }).first().waitFor();
    }
    expect(await page.evaluate(() => (window as { owned?: number }).owned)).toBeUndefined();
    expect(await page.locator("main img").count()).toBe(0);
    const [width, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    expect(width).toBeLessThanOrEqual(room ?? 0);
});

test("the pages carry a policy that lets in nothing but themselves", async () => {
    const response = await fetch(`${server.url}/`);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("style-src 'self';");
    expect(policy).not.toMatch(/unsafe-|\*/);
    const html = await response.text();
    expect(response.headers.get("cache-control")).toBe("no-cache");
    const script = /\/_app\/immutable\/entry\/start\.[^"]+\.js/.exec(html)?.[0] ?? "";
    expect((await fetch(server.url + script)).headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    const page = await open(`${server.url}/`, { expectTrouble: /Content Security Policy/ });
    const blocked = await page
        .evaluate(
            () =>
                new Promise<string>((resolve) => {
                    document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
                    fetch("https://example.com/").catch(() => undefined);
                }),
        )
        .catch(() => "");
    expect(blocked).toBe("connect-src");
});
