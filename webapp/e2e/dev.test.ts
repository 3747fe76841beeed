// `npm run dev`: the dashboard from its sources, in front of a server of the API.
import { type ChildProcess, spawn } from "node:child_process";

import { afterAll, beforeAll, expect, test } from "vitest";

import { open, PATIENCE_MS } from "./browser";
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

test("a developer sees the runs of the server that ATM_API_URL names", async () => {
    const page = await open(`${url}/`);
    await page
        .getByRole("list", { name: "Tests" })
        .getByText("shop")
        .first()
        .waitFor({ timeout: 2 * PATIENCE_MS });
    expect(await page.title()).toContain("Runs");
});
