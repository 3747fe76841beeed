import js from "@eslint/js";
import svelte from "eslint-plugin-svelte";
import globals from "globals";
import ts from "typescript-eslint";

import svelteConfig from "./svelte.config.js";

export default ts.config(
    { ignores: [".svelte-kit/", "node_modules/", "src/lib/api/schema.d.ts"] },
    js.configs.recommended,
    ...ts.configs.strict,
    ...svelte.configs.recommended,
    { languageOptions: { globals: { ...globals.browser, ...globals.node } } },
    {
        files: ["**/*.svelte", "**/*.svelte.ts"],
        languageOptions: { parserOptions: { parser: ts.parser, extraFileExtensions: [".svelte"], svelteConfig } },
    },
    {
        rules: {
            "no-undef": "off", // TypeScript does it, and knows types
            "svelte/no-navigation-without-resolve": "off", // $lib/place does it, for links in texts too
            "svelte/prefer-svelte-reactivity": "off", // it minds dates and queries that live for a line
        },
    },
    {
        files: ["src/lib/components/**"],
        rules: {
            // Pages fetch; what they are made of shows what it is given.
            "no-restricted-imports": ["error", { patterns: [{ group: ["$lib/api/client", "$lib/api/stream"] }] }],
        },
    },
);
