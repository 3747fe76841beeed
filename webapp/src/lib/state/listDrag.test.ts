import { expect, test } from "vitest";

import { placeAt } from "./listDrag.svelte";

const middles = [50, 150, 250, 350];

test("an item stays until it is past the middle of another one", () => {
    expect([51, 149].map((y) => placeAt(y, 1, middles))).toEqual([1, 1]);
    expect(placeAt(49, 1, middles)).toBe(0);
    expect([249, 251, 351].map((y) => placeAt(y, 1, middles))).toEqual([1, 2, 3]);
});

test("an item goes no further than the ends", () => {
    expect(placeAt(-900, 2, middles)).toBe(0);
    expect(placeAt(9000, 0, middles)).toBe(3);
    expect(placeAt(10, 0, [50])).toBe(0);
});
