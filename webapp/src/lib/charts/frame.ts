// What surrounds the lines of a plot: grid, labels of both axes, limits, names at the right ends. On a canvas.
import { translucent, type Palette } from "$lib/colours";

import type { Tick } from "./axes";
import type { Place, Series } from "./draw";
import { apart } from "./scale";

const FONT = "11px ui-sans-serif, system-ui, sans-serif";
const LINE = 14;

export interface Limit {
    value: number;
    label: string;
}

export function drawGrid(
    context: CanvasRenderingContext2D,
    place: Place,
    palette: Palette,
    x: Tick[],
    y: Tick[],
): void {
    const { left, right, top, bottom } = place;
    context.strokeStyle = palette.border;
    context.lineWidth = 1;
    context.beginPath();
    for (const { value } of y) {
        const at = Math.round(place.y(value)) + 0.5;
        context.moveTo(left, at);
        context.lineTo(right, at);
    }
    context.stroke();
    context.lineWidth = 0.5;
    context.beginPath();
    for (const { value } of x) {
        const at = place.x(value);
        context.moveTo(at, top);
        context.lineTo(at, bottom);
    }
    context.stroke();
}

export function drawLabels(
    context: CanvasRenderingContext2D,
    place: Place,
    palette: Palette,
    x: Tick[],
    y: Tick[],
    width: number,
): void {
    context.font = FONT;
    context.fillStyle = palette.muted;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const { value, label } of y) context.fillText(label, place.left - 8, place.y(value));
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    for (const { value, label } of x) {
        // A label at the very end would be cut off by the edge of the canvas.
        const half = context.measureText(label).width / 2;
        context.fillText(label, Math.min(place.x(value), width - half - 1), place.bottom + 15);
    }
}

/** A dotted line for each limit; what lies beyond the strictest one is tinted. */
export function drawLimits(
    context: CanvasRenderingContext2D,
    place: Place,
    palette: Palette,
    limits: readonly Limit[],
): void {
    const { left, right, top, bottom } = place;
    const found = limits
        .map((limit) => ({ label: limit.label, at: place.y(limit.value) }))
        .filter(({ at }) => at >= top && at <= bottom)
        .toSorted((a, b) => a.at - b.at);
    const lowest = found.at(-1);
    if (!lowest) return;
    context.fillStyle = translucent(palette.fail, 0.06);
    context.fillRect(left, top, right - left, lowest.at - top);
    context.strokeStyle = palette.fail;
    context.lineWidth = 1;
    context.setLineDash([2, 3]);
    context.beginPath();
    for (const { at } of found) {
        context.moveTo(left, at);
        context.lineTo(right, at);
    }
    context.stroke();
    context.setLineDash([]);
    context.font = FONT;
    context.textAlign = "right";
    const heights = apart(
        found.map(({ at }) => (at >= top + 16 ? at - 5 : at + 13)),
        top + 11,
        bottom - 3,
        LINE,
    );
    for (const [index, { label }] of found.entries()) {
        const at = heights[index] ?? top;
        const wide = context.measureText(label).width;
        // On a patch of the card, for lines run below it.
        context.fillStyle = translucent(palette.card, 0.82);
        context.fillRect(right - wide - 10, at - 10, wide + 8, 13);
        context.fillStyle = palette.fail;
        context.fillText(label, right - 6, at);
    }
}

/** The name of each line at its right end. */
export function drawEnds(context: CanvasRenderingContext2D, place: Place, all: readonly Series[]): void {
    const ends = all
        .flatMap((series) => {
            if (series.type === "bar" || !series.label || series.dots !== undefined) return [];
            const last = series.data.findLast((point) => point.y !== null && Number.isFinite(point.y));
            return last?.y == null ? [] : [{ text: series.label, colour: series.borderColor, at: place.y(last.y) + 4 }];
        })
        .toSorted((a, b) => a.at - b.at);
    const heights = apart(
        ends.map(({ at }) => at),
        place.top + 8,
        place.bottom + 4,
        LINE,
    );
    context.font = "12px ui-sans-serif, system-ui, sans-serif";
    context.textAlign = "left";
    for (const [index, { text, colour }] of ends.entries()) {
        context.fillStyle = colour;
        context.fillText(text, place.right + 6, heights[index] ?? place.top);
    }
}
