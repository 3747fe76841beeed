import { beforeAll, expect, test } from "vitest";

import { open } from "./browser";
import { api, ran, server, target } from "./shared";

const MARKUP = `<img src=x onerror="window.owned=1"><script>window.owned=1</script>`;
const BACKWARDS = "\u202eliaf\u202c شراء 🧨";
let id: string;

beforeAll(async () => {
    id = await ran(
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
    await api(`/runs/${id}`, { notes: MARKUP }, "PATCH");
});

// pages.test.ts does the same on the pages of tests, schedules and comparisons.
test.each(["/", "/?status=", "/run"])("what is hostile is text on %s", async (path) => {
    // Of a busy machine the outcome may be invalid rather than failed.
    const { outcome } = await api<{ outcome: string }>(`/runs/${id}`);
    // Other files have runs on this server too.
    const only = `text=${encodeURIComponent("<img src=x")}`;
    const addresses: Record<string, string> = {
        "/": `/?${only}`,
        "/?status=": `/?status=${outcome}&${only}`,
        "/run": `/runs/${id}`,
    };
    const page = await open(`${server}${addresses[path]}`);
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
    const response = await fetch(`${server}/`);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("style-src 'self';");
    expect(policy).not.toMatch(/unsafe-|\*/);
    const html = await response.text();
    expect(response.headers.get("cache-control")).toBe("no-cache");
    const script = /\/_app\/immutable\/entry\/start\.[^"]+\.js/.exec(html)?.[0] ?? "";
    expect((await fetch(server + script)).headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    const page = await open(`${server}/`, { expectTrouble: /Content Security Policy/ });
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
