import { defineConfig } from "vitest/config";

// One browser and one server for all of them, so one file after another.
export default defineConfig({
    test: {
        include: ["e2e/**/*.test.ts"],
        environment: "node",
        fileParallelism: false,
        testTimeout: 240_000,
        hookTimeout: 240_000,
        globalSetup: ["e2e/setup.ts"],
    },
});
