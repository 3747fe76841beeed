// One browser, one target and one server for all files; those that stop or lock their server start their own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";
import type { TestProject } from "vitest/node";

import { CHROMIUM } from "./chromium";
import { ApiServer, Target } from "./server";

declare module "vitest" {
    export interface ProvidedContext {
        browser: string;
        target: string;
        server: string;
        shop: string;
        /** Where the server looks for Python code. */
        code: string;
    }
}

/** A cluster that the server allows, and that no one runs. */
export const CLUSTER = "ray://head.test:10001";

export const SHOP = (target: string): object => ({
    name: "shop",
    variables: { base: target },
    endpoints: [
        { name: "GET /users", url: "{{base}}/users", weight: 3 },
        { name: "GET /orders/{id}", url: "{{base}}/orders/{{random_int}}", weight: 2 },
        { name: "flaky", url: "{{base}}/status?ok=200&other=503&share=0.2" },
    ],
    distribution_strategy: "weighted",
    load: { model: "open", rate: 60 },
    duration: "8s",
    thresholds: ["p99 < 5s", "error_rate < 1%"],
});

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
    const code = mkdtempSync(join(tmpdir(), "atm-code-"));
    const [browser, target, server] = await Promise.all([
        chromium.launchServer({
            executablePath: CHROMIUM,
            host: "127.0.0.1",
            args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        }),
        new Target().open(),
        new ApiServer({
            ATM_MAX_CONCURRENT_RUNS: "4",
            ATM_MAX_PROCESSES: "3",
            ATM_FLEET_CLUSTERS: CLUSTER,
            ATM_CODE_DIR: code,
        }).open(),
    ]);
    const shop = await server.run(SHOP(target.url), ["nightly"]);
    await server.ended(shop);
    project.provide("browser", browser.wsEndpoint());
    project.provide("target", target.url);
    project.provide("server", server.url);
    project.provide("shop", shop);
    project.provide("code", code);
    return async () => {
        await browser.close();
        await server.close();
        await target.close();
        rmSync(code, { recursive: true });
    };
}
