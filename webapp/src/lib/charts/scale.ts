// From values to pixels, and the frame that every plot draws in. Pure.
import { GUTTER_LEFT, GUTTER_RIGHT } from "./axes";
import type { Place } from "./draw";

/** Room above the highest tick, and below the lowest one: with and without labels of the x axis. */
const TOP = 6;
const BOTTOM = 6;
const BOTTOM_WITH_LABELS = 20;

export interface Scales {
    xFrom: number;
    xTo: number;
    yFrom: number;
    yTo: number;
    log: boolean;
}

/** Where a value of `from`..`to` lies, 0..1; on a logarithmic scale both must be above 0. */
export function part(value: number, from: number, to: number, log = false): number {
    if (to === from) return 0;
    if (!log) return (value - from) / (to - from);
    return Math.log(Math.max(value, Number.MIN_VALUE) / from) / Math.log(to / from);
}

/** The inner rectangle of a plot of this size, with what turns values into its pixels. */
export function placeOf(width: number, height: number, scales: Scales, withLabels: boolean): Place {
    const [left, right] = [GUTTER_LEFT, Math.max(width - GUTTER_RIGHT, GUTTER_LEFT + 1)];
    const [top, bottom] = [TOP, height - (withLabels ? BOTTOM_WITH_LABELS : BOTTOM)];
    return {
        ...{ left, right, top, bottom },
        x: (value) => left + part(value, scales.xFrom, scales.xTo) * (right - left),
        y: (value) => bottom - part(value, scales.yFrom, scales.yTo, scales.log) * (bottom - top),
    };
}

/** Heights for labels that want to stand at `wanted`, top first, at least `line` apart and within the frame. */
export function apart(wanted: readonly number[], top: number, bottom: number, line: number): number[] {
    let free = top;
    return wanted.map((at, index) => {
        const room = bottom - (wanted.length - 1 - index) * line;
        const found = Math.min(Math.max(at, free), Math.max(room, free));
        free = found + line;
        return found;
    });
}
