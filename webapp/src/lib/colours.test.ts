import { describe, expect, test } from "vitest";

import { channels, PALETTES, type Palette, type Theme } from "./colours";

type Vector = [number, number, number];
type Matrix = [Vector, Vector, Vector];

// Machado, Oliveira, Fernandes 2009, severity 1.
const SIGHT: Record<string, Matrix> = {
    normal: [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
    ],
    protan: [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    deutan: [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    tritan: [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
};

function linear(hex: string): Vector {
    return channels(hex).map((each) => {
        const value = each / 255;
        return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    }) as Vector;
}

function times(matrix: Matrix, vector: Vector): Vector {
    return matrix.map((row) => row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2]) as Vector;
}

function oklab(rgb: Vector): Vector {
    const clipped = rgb.map((each) => Math.min(1, Math.max(0, each))) as Vector;
    const cones = times(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ],
        clipped,
    ).map(Math.cbrt) as Vector;
    return times(
        [
            [0.2104542553, 0.793617785, -0.0040720468],
            [1.9779984951, -2.428592205, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.808675766],
        ],
        cones,
    );
}

function leastDistance(colours: readonly string[]): number {
    let least = Infinity;
    for (const matrix of Object.values(SIGHT)) {
        const seen = colours.map((hex) => oklab(times(matrix, linear(hex))));
        for (const [index, a] of seen.entries()) {
            for (const b of seen.slice(index + 1))
                least = Math.min(least, 100 * Math.hypot(...a.map((x, i) => x - (b[i] ?? 0))));
        }
    }
    return least;
}

function contrast(a: string, b: string): number {
    const [light, dark] = [a, b]
        .map((hex) => {
            const [r, g, blue] = linear(hex);
            return 0.2126 * r + 0.7152 * g + 0.0722 * blue;
        })
        .sort((x, y) => y - x) as [number, number];
    return (light + 0.05) / (dark + 0.05);
}

const sets = (palette: Palette): Record<string, readonly string[]> => ({
    percentiles: Object.values(palette.percentiles),
    statuses: palette.statuses,
    endpoints: palette.endpoints,
});

describe.each(["dark", "light"] as Theme[])("the %s theme", (theme) => {
    const palette = PALETTES[theme];
    for (const [name, colours] of Object.entries(sets(palette))) {
        test(`${name} is distinguishable with every kind of sight`, () => {
            expect(leastDistance(colours)).toBeGreaterThanOrEqual(8.5);
        });
        test(`${name} stand out from the card`, () => {
            for (const colour of colours) expect(contrast(colour, palette.card), colour).toBeGreaterThanOrEqual(3);
        });
    }
    test("text can be read on card and canvas", () => {
        for (const name of ["text", "muted", "pass", "fail", "warn", "info"] as const) {
            for (const ground of [palette.card, palette.canvas]) {
                expect(contrast(palette[name], ground), name).toBeGreaterThanOrEqual(4.5);
            }
        }
        expect(contrast("#FFFFFF", "#2F62D9")).toBeGreaterThanOrEqual(4.5);
        expect(contrast(palette.control, palette.card)).toBeGreaterThanOrEqual(3);
    });
});
