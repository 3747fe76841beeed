import { describe, expect, it } from "vitest";

import type { SampledExchange } from "$lib/api/schema";

import { sampleIds } from "./samples";

const sample = (request_number: number, outcome = "ok") => ({ request_number, outcome }) as SampledExchange;

describe("identities of samples", () => {
    it("are the numbers of requests where these are unique", () => {
        const samples = [sample(1), sample(7), sample(3, "timeout")];
        expect(samples.map((each) => sampleIds(samples).get(each))).toEqual([1, 7, 3]);
    });

    it("are unique for the requests of one iteration, and a failed one keeps its number", () => {
        const samples = [sample(1), sample(1), sample(1, "check_failed"), sample(2)];
        const ids = samples.map((each) => sampleIds(samples).get(each));
        expect(new Set(ids).size).toBe(4);
        expect([ids[2], ids[3]]).toEqual([1, 2]);
    });
});
