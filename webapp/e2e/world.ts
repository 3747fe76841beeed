// A real server with a storage of its own, a target, and Debian's Chromium: what the tests of the pages need.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";

const ROOT = join(import.meta.dirname, "../..");
const PYTHON = process.env.ATM_E2E_PYTHON ?? join(ROOT, ".venv/bin/python");
const CHROMIUM = process.env.ATM_CHROMIUM ?? "/usr/bin/chromium";
const READY_MS = 60_000;

async function freePort(): Promise<number> {
    return new Promise((resolve, reject) => {
        const probe = createServer();
        probe.once("error", reject);
        probe.listen(0, "127.0.0.1", () => {
            const address = probe.address();
            probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
        });
    });
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + READY_MS;
    while (Date.now() < end) {
        if (await holds()) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`waited ${READY_MS / 1000} s in vain for ${what}`);
}

async function answers(url: string): Promise<boolean> {
    try {
        return (await fetch(url)).ok;
    } catch {
        return false; // not there yet
    }
}

export class World {
    readonly data = mkdtempSync(join(tmpdir(), "atm-e2e-"));
    url = "";
    target = "";
    #browser: Browser | null = null;
    #children: ChildProcess[] = [];

    static async open(environment: Record<string, string> = {}): Promise<World> {
        const world = new World();
        const [port, targetPort] = [await freePort(), await freePort()];
        world.url = `http://127.0.0.1:${port}`;
        world.target = `http://127.0.0.1:${targetPort}`;
        world.#start(["-m", "atm.api.serving", "--port", String(port), "--data-dir", world.data], environment);
        world.#start(["-m", "atm", "target", "--port", String(targetPort)], {});
        await until("the server", () => answers(`${world.url}/health/ready`));
        await until("the target", () => answers(`${world.target}/users`));
        world.#browser = await chromium.launch({
            executablePath: CHROMIUM,
            args: ["--no-sandbox", "--disable-dev-shm-usage"],
        });
        return world;
    }

    #start(command: string[], environment: Record<string, string>): void {
        this.#children.push(
            spawn(PYTHON, command, { cwd: ROOT, env: { ...process.env, ...environment }, stdio: "ignore" }),
        );
    }

    /** A page of a browser that knows nothing; every error of a script or of the policy goes to `errors`. */
    async page(
        options: { theme?: "dark" | "light"; width?: number } = {},
    ): Promise<{ page: Page; context: BrowserContext; errors: string[] }> {
        if (!this.#browser) throw new Error("the world is closed");
        const context = await this.#browser.newContext({
            baseURL: this.url,
            viewport: { width: options.width ?? 1280, height: 900 },
            colorScheme: options.theme ?? "dark",
            reducedMotion: "reduce",
        });
        context.setDefaultTimeout(30_000);
        const page = await context.newPage();
        const errors: string[] = [];
        page.on("pageerror", (error) => errors.push(error.message));
        page.on("console", (message) => {
            if (message.type() === "error" && !/Failed to load resource/.test(message.text()))
                errors.push(message.text());
        });
        return { page, context, errors };
    }

    async api<Answer>(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
        const response = await fetch(`${this.url}/api/v1${path}`, {
            method: body === undefined ? "GET" : "POST",
            headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
            body: body === undefined ? undefined : JSON.stringify(body),
        });
        if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
        return (await response.json()) as Answer;
    }

    /** A run that has ended. */
    async ran(spec: Record<string, unknown>): Promise<string> {
        const { id } = await this.api<{ id: string }>("/runs", { spec });
        await until(`the end of run ${id}`, async () => {
            const { status } = await this.api<{ status: string }>(`/runs/${id}`);
            return ["completed", "cancelled", "failed"].includes(status);
        });
        return id;
    }

    async close(): Promise<void> {
        await this.#browser?.close();
        await Promise.all(
            this.#children.map(
                (child) =>
                    new Promise<void>((resolve) => {
                        if (child.exitCode !== null) return resolve();
                        child.once("exit", () => resolve());
                        child.kill("SIGTERM");
                        setTimeout(() => child.kill("SIGKILL"), 10_000).unref();
                    }),
            ),
        );
        rmSync(this.data, { recursive: true, force: true });
    }
}
