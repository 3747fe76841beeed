// Real servers for the tests in a browser: the API with its built dashboard, and the target that it loads.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttpServer, request, type Server } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const VENV = join(ROOT, ".venv/bin/python");
export const PYTHON = process.env.ATM_TEST_PYTHON || (existsSync(VENV) ? VENV : "python3");
const PATIENCE_MS = 120_000;

export function freePort(): Promise<number> {
    return new Promise((resolve, reject) => {
        const probe = createServer().unref();
        probe.on("error", reject);
        probe.listen(0, "127.0.0.1", () => {
            const found = probe.address();
            probe.close(() =>
                found && typeof found === "object" ? resolve(found.port) : reject(new Error("no port")),
            );
        });
    });
}

/** Waits until it holds; a busy machine may take its time. */
export async function until<Value>(what: string, ask: () => Promise<Value | null | false | undefined>): Promise<Value> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
        const found = await ask();
        if (found) return found;
        if (Date.now() > deadline) throw new Error(`waited ${PATIENCE_MS / 1000} s for ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
}

const environment = (more: Record<string, string>): NodeJS.ProcessEnv => ({
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ATM_|API_TEST)/.test(name))),
    PYTHONPATH: `${join(ROOT, "src")}:${ROOT}`,
    ATM_RETENTION_COUNT: "",
    ...more,
});

/** Its standard input is a pipe of ours: it ends with us, however we end. */
function start(args: string[], log: string, more: Record<string, string> = {}): ChildProcess {
    const file = openSync(log, "a");
    const child = spawn(PYTHON, args, { cwd: ROOT, env: environment(more), stdio: ["pipe", file, file] });
    closeSync(file);
    return child;
}

/** `atm target`, until its standard input ends. */
const TARGET = `
import os, runpy, signal, sys, threading

def follow_parent():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=follow_parent, daemon=True).start()
sys.argv = ["atm", "target", "--port", sys.argv[1]]
runpy.run_module("atm", run_name="__main__")
`;

function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
    return new Promise((resolve) => {
        if (!child || child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once("exit", () => resolve());
        child.kill(signal);
    });
}

export class Target {
    #child: ChildProcess | undefined;
    url = "";

    async open(): Promise<this> {
        const port = await freePort();
        const log = join(mkdtempSync(join(tmpdir(), "atm-target-")), "log");
        this.#child = start(["-c", TARGET, String(port)], log);
        this.url = `http://127.0.0.1:${port}`;
        await until("the target", () => answers(`${this.url}/`));
        return this;
    }

    close = (): Promise<void> => end(this.#child, "SIGINT");
}

export class ApiServer {
    readonly folder: string;
    #child: ChildProcess | undefined;
    #environment: Record<string, string>;
    port = 0;
    url = "";

    constructor(more: Record<string, string> = {}) {
        this.folder = mkdtempSync(join(tmpdir(), "atm-e2e-"));
        this.#environment = { ATM_DATA_DIR: this.folder, ...more };
    }

    async open(): Promise<this> {
        this.port ||= await freePort();
        this.url = `http://127.0.0.1:${this.port}`;
        const child = start(["-m", "atm.api", `--port=${this.port}`, "--for-parent"], this.#log, this.#environment);
        this.#child = child;
        await until("the API", () => {
            if (child.exitCode !== null) throw new Error(this.log());
            return answers(`${this.url}/health/ready`);
        });
        return this;
    }

    get #log(): string {
        return join(this.folder, "server.log");
    }

    log = (): string => readFileSync(this.#log, "utf8").slice(-4000);

    /** As a power cut would. */
    kill = (): Promise<void> => end(this.#child, "SIGKILL");

    async close(): Promise<void> {
        await end(this.#child, "SIGTERM");
        rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
    }

    python(...args: string[]): string {
        return execFileSync(PYTHON, args, { cwd: ROOT, env: environment(this.#environment), encoding: "utf8" }).trim();
    }

    async ask<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
        const response = await fetch(`${this.url}/api/v1${path}`, {
            method,
            headers: { "Content-Type": "application/json" },
            body: body === undefined ? undefined : JSON.stringify(body),
        });
        if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
        return (response.status === 204 ? undefined : await response.json()) as Answer;
    }

    async run(spec: object, tags: string[] = []): Promise<string> {
        return (await this.ask<{ id: string }>("POST", "/runs", { spec, tags })).id;
    }

    async ended(id: string): Promise<void> {
        await until(`the end of run ${id}`, async () => {
            const { status } = await this.ask<{ status: string }>("GET", `/runs/${id}`);
            return ["completed", "cancelled", "failed"].includes(status);
        });
    }
}

/** A proxy that serves a server below a path, which it takes off: as `proxy_pass http://server/;` in nginx. */
export class Proxy {
    #server: Server | undefined;
    /** Requests outside of that path, from links that lack it. */
    readonly astray: string[] = [];
    url = "";

    async open(port: number, path: string): Promise<this> {
        this.#server = createHttpServer((incoming, answer) => {
            if (!`${incoming.url}/`.startsWith(`${path}/`)) {
                this.astray.push(`${incoming.method} ${incoming.url}`);
                answer.writeHead(404).end();
                return;
            }
            const options = { port, host: "127.0.0.1", method: incoming.method, headers: incoming.headers };
            const onward = request({ ...options, path: incoming.url?.slice(path.length) || "/" }, (found) => {
                answer.writeHead(found.statusCode ?? 502, found.headers);
                found.pipe(answer);
            });
            onward.on("error", () => answer.destroy());
            answer.on("close", () => onward.destroy());
            incoming.pipe(onward);
        });
        const own = await freePort();
        await new Promise<void>((resolve) => this.#server?.listen(own, "127.0.0.1", resolve));
        this.url = `http://127.0.0.1:${own}${path}`;
        return this;
    }

    close(): void {
        this.#server?.closeAllConnections();
        this.#server?.close();
    }
}

async function answers(url: string): Promise<boolean> {
    try {
        return (await fetch(url)).ok;
    } catch {
        return false; // not there yet
    }
}
