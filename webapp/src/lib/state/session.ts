/** An address of this dashboard, from a parameter that anybody may have written; null for any other. */
export function localPath(to: string | null): string | null {
    if (!to?.startsWith("/")) return null;
    const here = "http://here.invalid";
    const url = URL.canParse(to, here) ? new URL(to, here) : null;
    return url?.origin === here ? url.pathname + url.search : null;
}
