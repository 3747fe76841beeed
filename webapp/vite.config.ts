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

/** GraphiQL's style carries its fonts as data, which the page's policy forbids: the dashboard's own are used. */
const withoutFonts: Plugin = {
    name: "graphiql-without-fonts",
    enforce: "pre",
    transform: {
        filter: { id: /graphiql\.css$/ },
        handler: (code: string) => code.replace(/@font-face\s*\{[^}]*\}/g, ""),
    },
};

const schema = JSON.parse(readFileSync(new URL("../docs/reference/spec.schema.json", import.meta.url), "utf8"));

export default defineConfig({
    // One for each metric that thresholds know.
    define: {
        THRESHOLD_EXAMPLES: JSON.stringify(schema.$defs.ThresholdExpression.properties.expression.examples),
    },
    plugins: [docs(), announcer, withoutFonts, tailwindcss(), sveltekit()],
    build: { assetsInlineLimit: 0, chunkSizeWarningLimit: 700 },
    server: {
        proxy: {
            "/api": { target: process.env.ATM_API_URL ?? "http://127.0.0.1:8000" },
            // The page for people is the dashboard's own.
            "/graphql": {
                target: process.env.ATM_API_URL ?? "http://127.0.0.1:8000",
                ws: true,
                bypass: ({ headers, url }) => (headers.accept?.includes("text/html") ? url : undefined),
            },
            "/health": { target: process.env.ATM_API_URL ?? "http://127.0.0.1:8000" },
        },
    },
    // The files share no state, so a process keeps its modules from file to file.
    test: { include: ["*.test.ts", "src/**/*.test.ts"], environment: "node", isolate: false },
});
