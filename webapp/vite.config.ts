import { sveltekit } from "@sveltejs/kit/vite";
import tailwindcss from "@tailwindcss/vite";
import { defineConfig } from "vitest/config";

export default defineConfig({
    plugins: [tailwindcss(), sveltekit()],
    build: { assetsInlineLimit: 0, chunkSizeWarningLimit: 700 },
    server: {
        proxy: {
            "/api": { target: process.env.ATM_API_URL ?? "http://127.0.0.1:8000" },
            "/health": { target: process.env.ATM_API_URL ?? "http://127.0.0.1:8000" },
        },
    },
    test: { include: ["src/**/*.test.ts"], environment: "node" },
});
