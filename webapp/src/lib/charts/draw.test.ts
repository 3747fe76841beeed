import { expect, test } from "vitest";

import { barWidth, pieces } from "./draw";

const place = { x: (value: number) => value * 10, y: (value: number) => 100 - value };

test("a hole in what is known is a hole in the line", () => {
    const points = [1, null, 3, 4, Infinity, 6].map((y, x) => ({ x, y }));
    expect(pieces(points, place)).toEqual([
        [{ x: 0, y: 99 }],
        [
            { x: 20, y: 97 },
            { x: 30, y: 96 },
        ],
        [{ x: 50, y: 94 }],
    ]);
    expect(pieces([], place)).toEqual([]);
});

test("bars fill nine tenths of their least distance, and are neither hidden nor broad", () => {
    const at = (...xs: number[]): { x: number; y: number }[] => xs.map((x) => ({ x, y: 1 }));
    expect(barWidth(at(0, 1, 3), place.x)).toBe(9);
    expect(barWidth(at(0, 0.001), place.x)).toBe(0.5);
    expect(barWidth(at(0, 60), place.x)).toBe(24);
    expect(barWidth(at(0), place.x)).toBe(24);
});
