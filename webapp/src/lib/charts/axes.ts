// Where ticks stand and how they read: 1-2-5, one unit for an axis, and no two labels alike. Pure.
import { rate, shown, timeIn, timeUnit } from "$lib/format";

export interface Tick {
    value: number;
    label: string;
}

/** Room beside every plot over time, so that they stand exactly under one another. */
export const GUTTER_LEFT = 64;
export const GUTTER_RIGHT = 48;

const STEPS = [1, 2, 5, 10];
const CLOCK_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400];

/** A step of 1, 2 or 5 times a power of ten, of which at most `most` go up to `top`. */
export function niceStep(top: number, most: number): number {
    const rough = top / Math.max(most, 1);
    if (!(rough > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    return Number(((STEPS.find((step) => step * power >= rough * 0.9999) ?? 10) * power).toPrecision(6));
}

export function linearTicks(top: number, most = 4): number[] {
    const step = niceStep(top, most);
    const ticks: number[] = [];
    for (let n = 0; (n - 1) * step < top * 0.9999; n += 1) ticks.push(Number((n * step).toPrecision(12)));
    return ticks;
}

/** 1, 2, 5, 10 … between the powers that hold low and high; thinned to whole decades where that is many. */
export function logTicks(low: number, high: number): number[] {
    const from = Math.floor(Math.log10(low));
    const to = Math.ceil(Math.log10(high));
    const steps = to - from > 3 ? [1] : to - from > 2 ? [1, 3] : [1, 2, 5];
    const ticks: number[] = [];
    for (let power = from; power <= to; power += 1) {
        for (const step of steps) {
            const value = Number((step * 10 ** power).toPrecision(6));
            if (value <= 10 ** to) ticks.push(value);
        }
    }
    return ticks;
}

/** Labels of times in one unit, which stands with the highest. */
export function timeLabels(values: number[]): Tick[] {
    const positive = values.filter((value) => value > 0);
    const top = positive.at(-1) ?? 1;
    const low = positive[0] ?? 1;
    // Over many decades every tick has the unit that fits it.
    const each = top / low >= 1000;
    const unit = timeUnit(top / (top / low > 8 ? 4 : 1));
    return values.map((value) => {
        const own = each ? timeUnit(value) : unit;
        const text = trimmed(timeIn(value, own));
        return { value, label: value === 0 ? "0" : shown(`${text} ${own}`) };
    });
}

export function rateLabels(values: number[]): Tick[] {
    return values.map((value) => ({ value, label: shown(rate(value)) }));
}

/** Moments of a run for its x axis. */
export function clockTicks(from: number, to: number, most: number): number[] {
    const span = Math.max(to - from, 1);
    const step = CLOCK_STEPS.find((each) => span / each <= most) ?? 28_800;
    const ticks: number[] = [];
    for (let at = Math.ceil(from / step) * step; at <= to + 1e-9; at += step) ticks.push(at);
    return ticks;
}

function trimmed(text: string): string {
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
