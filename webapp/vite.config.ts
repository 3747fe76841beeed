import { readFileSync } from "node:fs";

import { sveltekit } from "@sveltejs/kit/vite";
import tailwindcss from "@tailwindcss/vite";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

import { docs } from "./docs";

/** The kit hides its announcer with an inline style, which the page's policy forbids: app.css does it instead. */
const announcer: Plugin = {
    name: "announcer-without-inline-style",
    enforce: "pre",
    transform: {
        filter: { id: /generated\/root\.svelte$/ },
        handler: (code: string) => code.replace(/(id="svelte-announcer"[^>]*?)\s+style="[^"]*"/, "$1"),
    },
};

const schema = JSON.parse(readFileSync(new URL("../docs/reference/spec.schema.json", import.meta.url), "utf8"));

export default defineConfig({
    // One for each metric that thresholds know.
    define: {
        THRESHOLD_EXAMPLES: JSON.stringify(schema.$defs.ThresholdExpression.properties.expression.examples),
    },
    plugins: [docs(), announcer, tailwindcss(), sveltekit()],
    build: { assetsInlineLimit: 0, chunkSizeWarningLimit: 700 },
    server: {
        proxy: {
            "/api": { target: process.env.ATM_API_URL ?? "http://127.0.0.1:8000" },
            "/health": { target: process.env.ATM_API_URL ?? "http://127.0.0.1:8000" },
        },
    },
    test: { include: ["*.test.ts", "src/**/*.test.ts"], environment: "node" },
});
