import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { OUTCOMES, verdictOf } from "./verdict";

const { outcomes } = JSON.parse(
    readFileSync(new URL("../../../docs/reference/run-outcomes.json", import.meta.url), "utf8"),
) as { outcomes: { outcome: keyof typeof OUTCOMES; label: string; tone: string; icon: string }[] };

test("a run is called here what it is called everywhere", () => {
    expect(Object.keys(OUTCOMES).sort()).toEqual(outcomes.map((each) => each.outcome).sort());
    for (const { outcome, label, tone, icon } of outcomes) {
        expect(verdictOf({ outcome })).toEqual({ word: label, tone, icon });
    }
});
