import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import type { Page } from "playwright-core";

const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Found {
    id: string;
    impact: string | null;
    nodes: { html: string; failureSummary: string }[];
}

/** What axe calls serious or critical on the page as it stands, a line each. */
export async function seriousProblems(page: Page): Promise<string[]> {
    // By the browser's own debugger, which the page's Content-Security-Policy does not bind.
    await page.evaluate(SOURCE);
    const found = await page.evaluate(async () => {
        const { axe } = globalThis as unknown as {
            axe: { run: (options: unknown) => Promise<{ violations: Found[] }> };
        };
        return (await axe.run({ resultTypes: ["violations"] })).violations;
    });
    return found
        .filter((each) => each.impact === "serious" || each.impact === "critical")
        .flatMap((each) =>
            each.nodes.map(
                (node) =>
                    `${each.id}: ${node.html.slice(0, 160)} ${node.failureSummary.split("\n").slice(1, 2).join(" ")}`,
            ),
        );
}
