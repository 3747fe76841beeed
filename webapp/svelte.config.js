import adapter from "@sveltejs/adapter-static";
import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

/** @type {import("@sveltejs/kit").Config} */
export default {
    preprocess: vitePreprocess(),
    compilerOptions: { runes: true },
    kit: {
        // Into the Python package: `atm serve` reads its files from there, and the wheel carries them.
        adapter: adapter({
            pages: "../src/atm/api/static",
            assets: "../src/atm/api/static",
            fallback: "index.html",
            precompress: true,
            strict: false,
        }),
        output: { preloadStrategy: "modulepreload" },
        typescript: {
            // The tests in a browser make up answers of the API, which have its types.
            config: (config) => ({ ...config, include: [...config.include, "../e2e/**/*.ts"] }),
        },
        version: { pollInterval: 0 },
    },
};
