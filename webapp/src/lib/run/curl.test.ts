import { execFileSync } from "node:child_process";

import { expect, test } from "vitest";

import { curlOf } from "./curl";

const sample = (more: object): Parameters<typeof curlOf>[0] => ({
    url: "https://api.example.com/users?a=1&b=it's",
    request_head: "POST /users?a=1&b=it's HTTP/1.1",
    request_headers: [
        ["Host", "api.example.com"],
        ["Content-Length", "22"],
        ["Accept-Encoding", "gzip"],
        ["X-Note", "$HOME `id` \"quoted\" 'single' \\"],
        ["X-Empty", ""],
    ],
    request_body: '{"name": "O\'Neill\\n"}',
    request_body_bytes: 21,
    ...more,
});

/** What a real shell makes of the command line. */
const words = (command: string): string[] =>
    execFileSync("/bin/sh", ["-c", command.replace(/^curl/, "printf '%s\\0'")], { encoding: "utf8" })
        .split("\0")
        .slice(0, -1);

test("a shell reads the request as it was sent, whatever is in it", () => {
    const { command, notes } = curlOf(sample({}));
    expect(words(command)).toEqual([
        "https://api.example.com/users?a=1&b=it's",
        "-H",
        "X-Note: $HOME `id` \"quoted\" 'single' \\",
        "-H",
        "X-Empty;",
        "--compressed",
        "--data-raw",
        '{"name": "O\'Neill\\n"}',
    ]);
    expect(notes).toEqual([]);
});

test("other methods are named, and what is not as it was sent is said", () => {
    const put = curlOf(sample({ request_head: "DELETE /x HTTP/1.1", request_body: "", request_body_bytes: 0 }));
    expect(words(put.command).slice(0, 3)).toEqual(["-X", "DELETE", "https://api.example.com/users?a=1&b=it's"]);
    expect(curlOf(sample({ request_head: "HEAD / HTTP/2", request_body: "" })).command).toContain("--head");
    const masked = sample({ request_headers: [["Authorization", "***"]], request_body_bytes: 5000 });
    expect(curlOf(masked).notes).toHaveLength(2);
});
