// Lines and bars on a canvas.

export interface Point {
    x: number;
    /** Null is a hole in a line. */
    y: number | null;
}

export interface LineSeries {
    type: "line";
    label: string;
    data: Point[];
    borderColor: string;
    borderWidth?: number;
    borderDash?: number[];
    /** Fills what lies under the line. */
    fill?: string;
    /** Fills what lies between this line and a higher one of the same moments. */
    short?: { of: Point[]; colour: string };
    /** Each point is a dot of this radius, and nothing joins them. */
    dots?: number;
}

export interface BarSeries {
    type: "bar";
    label: string;
    data: Point[];
    backgroundColor: string;
}

export type Series = LineSeries | BarSeries;

export interface Place {
    left: number;
    right: number;
    top: number;
    bottom: number;
    x: (value: number) => number;
    y: (value: number) => number;
}

interface Dot {
    x: number;
    y: number;
}

const MOST_BAR = 24;
const LONE_DOT = 1.5;

/** The first series lies on top. */
export function drawSeries(context: CanvasRenderingContext2D, place: Place, all: Series[], stacked: boolean): void {
    context.save();
    context.beginPath();
    context.rect(place.left, place.top - 1, place.right - place.left, place.bottom - place.top + 2);
    context.clip();
    const bases = new Map<number, number>();
    for (const series of all.toReversed()) {
        if (series.type === "bar") drawBars(context, place, series, stacked ? bases : new Map<number, number>());
        else drawLine(context, place, series);
    }
    context.restore();
}

/** Pieces of a line without a hole in them, in pixels. */
export function pieces(points: Point[], place: Pick<Place, "x" | "y">): Dot[][] {
    const found: Dot[][] = [];
    let open: Dot[] | null = null;
    for (const { x, y } of points) {
        if (y === null || !Number.isFinite(y)) {
            open = null;
            continue;
        }
        if (!open) found.push((open = []));
        open.push({ x: place.x(x), y: place.y(y) });
    }
    return found;
}

/** How wide bars are that stand as close as these: nine tenths of the least distance, within bounds. */
export function barWidth(points: Point[], x: (value: number) => number): number {
    let least = Infinity;
    for (let at = 1; at < points.length; at += 1) {
        least = Math.min(least, x(points[at]?.x ?? 0) - x(points[at - 1]?.x ?? 0));
    }
    return Math.min(Math.max(least * 0.9, 0.5), MOST_BAR);
}

function drawLine(context: CanvasRenderingContext2D, place: Place, series: LineSeries): void {
    const drawn = pieces(series.data, place);
    if (series.short) shade(context, place, drawn, pieces(series.short.of, place), series.short.colour);
    context.fillStyle = series.fill ?? series.borderColor;
    if (series.fill) for (const piece of drawn) fillTo(context, piece, place.bottom);
    context.fillStyle = series.borderColor;
    context.strokeStyle = series.borderColor;
    context.lineWidth = series.borderWidth ?? 1.5;
    context.lineJoin = "round";
    context.setLineDash(series.borderDash ?? []);
    context.beginPath();
    for (const piece of drawn) if (series.dots === undefined && piece.length > 1) trace(context, piece);
    context.stroke();
    context.setLineDash([]);
    // A lone point between two holes would not show as a line.
    const dots = series.dots === undefined ? drawn.filter((piece) => piece.length === 1) : drawn;
    const radius = series.dots ?? LONE_DOT;
    for (const { x, y } of dots.flat()) context.fillRect(x - radius, y - radius, radius * 2, radius * 2);
}

function trace(context: CanvasRenderingContext2D, piece: Dot[]): void {
    for (const [at, { x, y }] of piece.entries()) {
        if (at) context.lineTo(x, y);
        else context.moveTo(x, y);
    }
}

/** The path from a piece of a line straight to a height, and back below or above its beginning. */
function close(context: CanvasRenderingContext2D, piece: Dot[], height: number): void {
    trace(context, piece);
    context.lineTo(piece.at(-1)?.x ?? 0, height);
    context.lineTo(piece[0]?.x ?? 0, height);
    context.closePath();
}

function fillTo(context: CanvasRenderingContext2D, piece: Dot[], height: number): void {
    context.beginPath();
    close(context, piece, height);
    context.fill();
}

/** What is under the higher line and over the lower one. */
function shade(context: CanvasRenderingContext2D, place: Place, low: Dot[][], high: Dot[][], colour: string): void {
    context.save();
    context.beginPath();
    for (const piece of high) close(context, piece, place.bottom);
    context.clip();
    context.fillStyle = colour;
    for (const piece of low) fillTo(context, piece, place.top);
    context.restore();
}

function drawBars(
    context: CanvasRenderingContext2D,
    place: Place,
    series: BarSeries,
    bases: Map<number, number>,
): void {
    const width = barWidth(series.data, place.x);
    context.fillStyle = series.backgroundColor;
    for (const { x, y } of series.data) {
        if (!y || !Number.isFinite(y)) continue;
        const base = bases.get(x) ?? 0;
        bases.set(x, base + y);
        const top = place.y(base + y);
        context.fillRect(place.x(x) - width / 2, top, width, place.y(base) - top);
    }
}
