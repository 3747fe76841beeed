/**
 * An address of this dashboard, from a parameter that anybody may have written; null for any other, and for one that is
 * not below `base`.
 */
export function localPath(to: string | null, base = ""): string | null {
    if (!to?.startsWith("/")) return null;
    const here = "http://here.invalid";
    const url = URL.canParse(to, here) ? new URL(to, here) : null;
    return url?.origin === here && `${url.pathname}/`.startsWith(`${base}/`) ? url.pathname + url.search : null;
}

const BROWSERS: readonly (readonly [RegExp, string])[] = [
    [/Edg\//, "Edge"],
    [/OPR\//, "Opera"],
    [/Firefox\//, "Firefox"],
    [/Chrom(e|ium)\//, "Chrome"],
    [/Safari\//, "Safari"],
];
const SYSTEMS: readonly (readonly [RegExp, string])[] = [
    [/Android/, "Android"],
    [/iPhone|iPad/, "iOS"],
    [/Windows/, "Windows"],
    [/Mac OS X/, "macOS"],
    [/CrOS/, "ChromeOS"],
    [/Linux/, "Linux"],
];

/** A user agent as people name their browser: `Firefox on Linux`. What is none keeps its own first word. */
export function browserName(userAgent: string): string {
    const named = (names: typeof BROWSERS): string => names.find(([form]) => form.test(userAgent))?.[1] ?? "";
    const [browser, system] = [named(BROWSERS), named(SYSTEMS)];
    if (browser && system) return `${browser} on ${system}`;
    return browser || system || userAgent.split(/[\s/]/)[0] || "unknown browser";
}
