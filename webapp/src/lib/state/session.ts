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
