// `npm run dev`: the dashboard from its sources, in front of a server of the API.
import { type ChildProcess, spawn } from "node:child_process";

import { afterAll, beforeAll, expect, inject, test } from "vitest";

import { open, PATIENCE_MS } from "./browser";
import { PROVING } from "./chromium";
import { freePort, ROOT, until } from "./server";
import { server } from "./shared";

let url = "";
let child: ChildProcess | undefined;
let output = "";

beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const options = ["--host", "127.0.0.1", "--port", String(port), "--strictPort"];
    // A group of its own: npm starts a shell, and that starts Vite.
    child = spawn("npm", ["run", "dev", "--prefix", `${ROOT}/webapp`, "--", ...options], {
        detached: true,
        env: { ...process.env, ATM_API_URL: server },
        stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (data: Buffer) => (output += String(data)));
    await until(`npm run dev: ${output}`, async () => {
        if (child?.exitCode !== null) throw new Error(output);
        return fetch(url).then(
            (response) => response.ok,
            () => false,
        );
    });
});

afterAll(() => {
    if (child?.pid) process.kill(-child.pid, "SIGTERM");
});

test("it answers with the page, its parts from their sources, and what the server of ATM_API_URL answers", async () => {
    const page = await (await fetch(`${url}/`, { headers: { Accept: "text/html" } })).text();
    const start = /import\("([^"]+)"\)/.exec(page)?.[1] ?? "";
    expect((await fetch(new URL(start, url))).headers.get("content-type")).toContain("javascript");
    const list = await (await fetch(`${url}/src/routes/+page.svelte`)).text();
    expect(list).toContain("createHotContext");
    const own = (await (await fetch(`${url}/api/v1/runs?name=shop`)).json()) as { runs: { id: string }[] };
    expect(own.runs.map(({ id }) => id)).toContain(inject("shop"));
});

// Half of the sources are compiled for it; list.test.ts sees the same page from the built ones.
if (PROVING)
    test("a developer sees the runs of the server that ATM_API_URL names", async () => {
        const page = await open(`${url}/`);
        await page
            .getByRole("list", { name: "Tests" })
            .getByText("shop")
            .first()
            .waitFor({ timeout: 2 * PATIENCE_MS });
        expect(await page.title()).toContain("Runs");
    });
