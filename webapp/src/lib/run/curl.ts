// A recorded request as a curl command line, to be sent again by hand. Pure.
import type { SampledExchange } from "$lib/api/schema";

/** As a POSIX shell reads it, whatever is in it. */
function quoted(text: string): string {
    return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** What curl writes itself. */
const OWN_HEADERS = new Set(["host", "content-length", "connection", "accept-encoding", "transfer-encoding"]);

type Sample = Pick<SampledExchange, "url" | "request_head" | "request_headers" | "request_body" | "request_body_bytes">;

/** The command, and what is not as it was sent. */
export function curlOf(sample: Sample): { command: string; notes: string[] } {
    const method = /^[A-Z][A-Z-]*(?= )/.exec(sample.request_head)?.[0] ?? "GET";
    const body = sample.request_body;
    const isCut = new TextEncoder().encode(body).length < sample.request_body_bytes;
    const parts = ["curl"];
    if (method === "HEAD") parts.push("--head");
    else if (method !== (body ? "POST" : "GET")) parts.push(`-X ${method}`);
    parts.push(quoted(sample.url));
    let masked = sample.url.includes("***");
    for (const [name, value] of sample.request_headers) {
        if (OWN_HEADERS.has(name.toLowerCase())) continue;
        masked ||= value.includes("***");
        parts.push(`-H ${quoted(value === "" ? `${name};` : `${name}: ${value}`)}`);
    }
    if (sample.request_headers.some(([name]) => name.toLowerCase() === "accept-encoding")) parts.push("--compressed");
    if (body) parts.push(`--data-raw ${quoted(body)}`);
    return {
        command: parts.join(" \\\n  "),
        notes: [
            ...(masked ? ["*** replaces a secret: fill it in"] : []),
            ...(isCut ? ["the body is not recorded in full"] : []),
        ],
    };
}
