import { describe, expect, it } from "vitest";

import { fleetText, ONE, placeOf, PROCESSES, withPlace } from "./fleet";

const HEAD = "ray://head:10001";

describe("the place of a load", () => {
    it("is read from what a spec says, also from what it says wrongly", () => {
        expect(placeOf({})).toBe(ONE);
        expect(placeOf({ fleet: "two" })).toBe(ONE);
        expect(placeOf({ fleet: { on_loss: "continue" } })).toBe(ONE);
        expect(placeOf({ fleet: { processes: 2 } })).toBe(PROCESSES);
        expect(placeOf({ fleet: { on: HEAD } })).toBe(HEAD);
    });

    it("changes, and what belongs to the other place goes", () => {
        const cluster = withPlace({ name: "a", fleet: { processes: 3, on_loss: "continue" } }, HEAD);
        expect(cluster).toEqual({ name: "a", fleet: { on: HEAD, workers: 3, on_loss: "continue" } });
        expect(withPlace(cluster, PROCESSES)).toEqual({ name: "a", fleet: { processes: 3, on_loss: "continue" } });
        expect(withPlace(cluster, ONE)).toEqual({ name: "a" });
        expect(withPlace({ name: "a" }, PROCESSES)).toEqual({ name: "a", fleet: { processes: 2 } });
    });

    it("keeps that an open cluster is allowed, and fields that the form does not know", () => {
        const fleet = { on: HEAD, workers: 2, allow_open_cluster: true, later: 1 };
        const other = "ray://other:10001";
        expect(withPlace({ fleet }, other)).toEqual({ fleet: { ...fleet, on: other } });
    });

    it("is said in a few words", () => {
        expect(fleetText({})).toBe("");
        expect(fleetText({ fleet: { processes: 1 } })).toBe("1 process");
        expect(fleetText({ fleet: { processes: "many" } })).toBe("many processes");
        expect(fleetText({ fleet: { on: HEAD, workers: 8 } })).toBe(`8 workers on ${HEAD}`);
    });
});
