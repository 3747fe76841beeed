import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import * as format from "./format";

interface Rule {
    rule: string;
    unit: string;
    shown_in?: string;
    vectors: [number | "Infinity" | null, string][];
}

const { rules } = JSON.parse(
    readFileSync(new URL("../../../docs/reference/number-formats.json", import.meta.url), "utf8"),
) as { rules: Rule[] };

const formatters: Record<string, (value: never, unit?: string) => string> = {
    time: format.time,
    rate: format.rate,
    count: format.count,
    share: format.share,
    percent: format.percent,
    size: format.size,
    duration: format.duration,
    planned: format.planned,
    clock: format.clock,
    multiple: format.multiple,
    own_value: format.ownValue,
};

describe("every figure is spelled as the terminal spells it", () => {
    for (const rule of rules) {
        const unit = rule.shown_in;
        for (const [value, text] of rule.vectors) {
            test(`${rule.rule}${unit ? ` in ${unit}` : ""}: ${value} reads ${text}`, () => {
                const formatter = formatters[rule.rule];
                const spelled = unit ? format.timeIn(value, unit) : formatter?.(value as never);
                expect(spelled).toBe(text);
            });
        }
    }
    test("no rule of the vectors is left out here", () => {
        expect(rules.map((rule) => rule.rule).filter((name) => name !== "time_in" && !formatters[name])).toEqual([]);
    });
});

test("a page groups thousands with a narrow space, and a copy of it has plain digits", () => {
    expect(format.shown("1,234,567.25")).toBe("1\u202f234\u202f567.25");
    expect(format.plain("of 1\u202f234\u202f567 requests")).toBe("of 1234567 requests");
});

test("an age is in words up to seven days and a date after them", () => {
    const now = new Date("2026-07-10T12:00:00Z");
    const spelled = (iso: string): string => format.age(new Date(iso), now, "UTC");
    expect(spelled("2026-07-10T11:59:55Z")).toBe("just now");
    expect(spelled("2026-07-10T11:58:00Z")).toBe("2 min ago");
    expect(spelled("2026-07-09T11:00:00Z")).toBe("yesterday");
    expect(spelled("2026-07-01T11:00:00Z")).toBe("2026-07-01");
    expect(format.exact(new Date("2026-07-01T09:14:17Z"), "UTC")).toBe("2026-07-01 09:14:17 UTC");
});
