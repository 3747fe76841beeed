// The server that all files share, and what tests of its pages ask of it.
import type { BrowserContextOptions, Page } from "playwright-core";
import { inject } from "vitest";

import { open } from "./browser";
import { until } from "./server";

export const server = inject("server");
export const target = inject("target");

export async function api<Answer>(
    path: string,
    body?: unknown,
    method = body === undefined ? "GET" : "POST",
): Promise<Answer> {
    const response = await fetch(`${server}/api/v1${path}`, {
        method,
        headers: body === undefined ? {} : { "Content-Type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Answer;
}

/** A run that has ended. */
export async function ran(spec: Record<string, unknown>, tags: string[] = []): Promise<string> {
    const { id } = await api<{ id: string }>("/runs", { spec, tags });
    await until(`the end of run ${id}`, async () => {
        const { status } = await api<{ status: string }>(`/runs/${id}`);
        return ["completed", "cancelled", "failed"].includes(status);
    });
    return id;
}

/** The page, once it has read what it shows. */
export async function at(
    path: string,
    options: BrowserContextOptions & { expectTrouble?: boolean } = {},
): Promise<Page> {
    const page = await open(server + path, options);
    await page.locator("h1").waitFor();
    return page;
}

export function shop(name: string, rate = 40): Record<string, unknown> {
    return {
        name,
        endpoints: [
            { name: "GET /users", url: `${target}/users` },
            { name: "POST /orders", url: `${target}/orders`, method: "POST", body: { item: "book" } },
        ],
        load: { model: "open", rate },
        duration: "2s",
        thresholds: ["p99 < 5s"],
    };
}
