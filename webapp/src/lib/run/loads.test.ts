import { describe, expect, it } from "vitest";

import { loadFacts, loadInWords, loadsOfScenarios } from "./loads";

const OWN = {
    scenarios: {
        browse: { load: { rate: 40 }, steps: [] },
        order: { load: { users: 50 }, start_after: "30s", steps: [] },
        admin: { load: { stages: [{ duration: "1m", target: 3 }], model: "closed" as const }, steps: [] },
    },
};

it("spells a load by its level", () => {
    expect(loadInWords({ rate: 120 })).toBe("120 /s");
    expect(loadInWords({ users: 1 })).toBe("1 user");
    expect(loadInWords({ model: "open", stages: [{ target: 20 }, { target: 200 }] })).toBe("2 stages up to 200 /s");
});

describe("the load of a run", () => {
    it("is that of the spec", () => {
        expect(loadFacts({ url: "http://a/" })).toEqual(["10 users"]);
        expect(loadFacts({ url: "http://a/", requests_per_second: 5 })).toEqual(["5 /s"]);
        expect(loadFacts({ load: { rate: 40 }, scenarios: { a: {}, b: {} } })).toEqual(["2 scenarios", "40 /s"]);
    });
    it("is not one number where scenarios have loads of their own", () => {
        expect(loadFacts(OWN)).toEqual(["3 scenarios"]);
    });
    it("is listed for each scenario", () => {
        expect([...loadsOfScenarios(OWN)]).toEqual([
            ["browse", "40 /s"],
            ["order", "50 users, after 30s"],
            ["admin", "1 stage up to 3 users"],
        ]);
        const shared = { load: { rate: 40 }, scenarios: { a: { weight: 3 }, b: {} } };
        expect([...loadsOfScenarios(shared)]).toEqual([
            ["a", "75 % of 40 /s"],
            ["b", "25 % of 40 /s"],
        ]);
    });
});
