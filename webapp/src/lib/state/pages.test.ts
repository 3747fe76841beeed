import { describe, expect, it } from "vitest";

import type { StorageOverview } from "$lib/api/schema";

import { STATUSES } from "./runList";
import { browserName, localPath } from "./session";
import { kept, perDay, statusWords } from "./storage";

describe("where a sign-in leads", () => {
    it("is a page of this dashboard and never another server", () => {
        expect(localPath("/tests?a=1")).toBe("/tests?a=1");
        for (const other of [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "javascript:alert(1)",
            "",
            null,
        ]) {
            expect(localPath(other)).toBeNull();
        }
        expect(localPath("/atm/tests?a=1", "/atm")).toBe("/atm/tests?a=1");
        expect(localPath("/atm", "/atm")).toBe("/atm");
        expect(localPath("/atmosphere", "/atm")).toBeNull();
        expect(localPath("/atm/../other", "/atm")).toBeNull();
    });
});

describe("a session", () => {
    it("names its browser as people do", () => {
        const chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36";
        expect(browserName(chrome)).toBe("Chrome on Linux");
        expect(browserName(`${chrome} Edg/130.0`)).toBe("Edge on Linux");
        expect(browserName("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:132.0) Gecko Firefox/132.0")).toBe(
            "Firefox on macOS",
        );
        expect(browserName("curl/8.5.0")).toBe("curl");
        expect(browserName("")).toBe("unknown browser");
    });
});

describe("the storage", () => {
    const view = {
        status: { size_bytes: 1000, runs: {} },
        days: [
            { day: "2026-01-01", runs: 0, passed: 0, failed: 0 },
            { day: "2026-01-02", runs: 3, passed: 3, failed: 0 },
            { day: "2026-01-03", runs: 1, passed: 0, failed: 0 },
        ],
    } as unknown as StorageOverview;

    it("grows by what came since the first day with a run", () => {
        expect(perDay(view, 4)).toEqual({ runs: "2", bytes: "500 B" });
        expect(perDay({ ...view, days: view.days.slice(0, 1) }, 4)).toBeNull();
    });

    it("counts every status, in the words of the list of runs", () => {
        expect(statusWords({ completed: 5 }).map(({ word, runs }) => `${word} ${runs}`)).toEqual([
            "Completed 5",
            "Running 0",
            "Queued 0",
            "Cancelled 0",
            "Error 0",
        ]);
        expect(statusWords({}).filter(({ query }) => !(query in STATUSES))).toEqual([]);
    });

    it("says what stays for how long", () => {
        const said = kept(
            {
                runs_seconds: 90 * 86_400,
                runs_at_most: null,
                intervals_seconds: 3600,
                samples_seconds: null,
                firings_seconds: null,
            },
            (seconds) => `${seconds} s`,
        );
        expect(said.map(({ value }) => value)).toEqual(["90 days", "no limit", "3600 s", "forever", "forever"]);
    });
});
