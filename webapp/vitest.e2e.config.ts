import { readdirSync } from "node:fs";

import { defineConfig } from "vitest/config";

import { CHROMIUM } from "./e2e/chromium";

const here = CHROMIUM !== "";
if (!here) {
    const files = readdirSync(new URL("e2e", import.meta.url)).filter((name) => name.endsWith(".test.ts"));
    // In pytest's words, which tools/suites.py counts and repeats.
    console.log(
        `SKIPPED [${files.length}] webapp/e2e: no Chromium here to test with; apt-get install chromium, as root \`make test\` does it by itself`,
    );
}

export default defineConfig({
    test: {
        include: here ? ["e2e/**/*.test.ts"] : [],
        passWithNoTests: !here,
        environment: "node",
        // Tests in a browser wait more than they compute: three files at a time keep two cores at work. What is measured
        // for a proof has the machine for itself.
        fileParallelism: process.env.ATM_TEST_PROFILE !== "prove",
        maxWorkers: 3,
        // A process keeps its modules and its connection to the browser from file to file.
        isolate: false,
        setupFiles: ["e2e/page_errors.ts"],
        testTimeout: 240_000,
        expect: { poll: { timeout: 30_000 } },
        hookTimeout: 240_000,
        globalSetup: here ? ["e2e/setup.ts"] : [],
    },
});
