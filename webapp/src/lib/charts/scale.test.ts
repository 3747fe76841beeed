import { expect, test } from "vitest";

import { apart, part, placeOf } from "./scale";

test("a value has its place on a linear and on a logarithmic scale", () => {
    expect([0, 50, 100].map((value) => part(value, 0, 100))).toEqual([0, 0.5, 1]);
    expect([1, 10, 100].map((value) => Number(part(value, 1, 100, true).toFixed(9)))).toEqual([0, 0.5, 1]);
    // Zero is below every decade, and an axis of one value divides by nothing.
    expect(part(0, 1, 100, true)).toBeLessThan(0);
    expect(part(5, 5, 5)).toBe(0);
});

test("the frame of a plot has the same gutters whatever is in it", () => {
    const scales = { xFrom: 0, xTo: 10, yFrom: 0, yTo: 4, log: false };
    const place = placeOf(1000, 160, scales, true);
    expect([place.x(0), place.x(10)]).toEqual([place.left, place.right]);
    expect([place.y(0), place.y(4)]).toEqual([place.bottom, place.top]);
    expect(placeOf(1000, 160, scales, false).bottom).toBeGreaterThan(place.bottom);
    // Narrower than its own gutters: nothing is drawn backwards.
    expect(placeOf(20, 160, scales, true).right).toBeGreaterThan(place.left);
});

test("labels that want the same height stand under one another, inside", () => {
    expect(apart([10, 12, 90], 0, 100, 14)).toEqual([10, 24, 90]);
    expect(apart([95, 96], 0, 100, 14)).toEqual([86, 100]);
});
