import { existsSync } from "node:fs";

/** `make prove` runs all that `make test` has no time for. */
export const PROVING = process.env.ATM_TEST_PROFILE === "prove";

const NAMES = [
    "/usr/bin/chromium-headless-shell",
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
];
const configured = process.env.ATM_TEST_CHROMIUM;
/** Where the browser is to test with; empty where there is none. */
export const CHROMIUM = (configured ? [configured] : NAMES).find(existsSync) ?? "";
