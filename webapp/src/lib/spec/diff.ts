// What has changed between two texts, by lines. Pure; the shortest edit script (Myers, 1986).

export interface DiffLine {
    kind: "same" | "removed" | "added" | "skipped";
    text: string;
    /** Line numbers, from 1. */
    a: number | null;
    b: number | null;
}

const MOST_LINES = 5000;

export function diffLines(a: string, b: string, context = 3): DiffLine[] {
    return folded(script(lines(a), lines(b)), context);
}

function lines(text: string): string[] {
    const found = text.split("\n");
    if (found.at(-1) === "") found.pop();
    return found;
}

function script(a: string[], b: string[]): DiffLine[] {
    if (a.length + b.length > MOST_LINES)
        return [...a.map((text, index) => removed(text, index)), ...b.map((text, index) => added(text, index))];
    const most = a.length + b.length;
    const trace: Map<number, number>[] = [];
    let ends = new Map<number, number>([[1, 0]]);
    outer: for (let d = 0; d <= most; d += 1) {
        trace.push(new Map(ends));
        for (let k = -d; k <= d; k += 2) {
            const down = k === -d || (k !== d && (ends.get(k - 1) ?? -1) < (ends.get(k + 1) ?? -1));
            let x = down ? (ends.get(k + 1) ?? 0) : (ends.get(k - 1) ?? 0) + 1;
            while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
            ends.set(k, x);
            if (x >= a.length && x - k >= b.length) break outer;
        }
    }
    ends = new Map();
    return backwards(a, b, trace);
}

function backwards(a: string[], b: string[], trace: Map<number, number>[]): DiffLine[] {
    const found: DiffLine[] = [];
    let [x, y] = [a.length, b.length];
    for (let d = trace.length - 1; d >= 0 && (x > 0 || y > 0); d -= 1) {
        const ends = trace[d] as Map<number, number>;
        const k = x - y;
        const down = k === -d || (k !== d && (ends.get(k - 1) ?? -1) < (ends.get(k + 1) ?? -1));
        const before = down ? k + 1 : k - 1;
        const fromX = d === 0 ? 0 : (ends.get(before) ?? 0);
        const fromY = d === 0 ? 0 : fromX - before;
        while (x > fromX && y > fromY && x > 0 && y > 0) {
            x -= 1;
            y -= 1;
            found.push({ kind: "same", text: a[x] as string, a: x + 1, b: y + 1 });
        }
        if (d === 0) break;
        if (down) found.push(added(b[--y] as string, y));
        else found.push(removed(a[--x] as string, x));
    }
    return found.reverse();
}

function removed(text: string, index: number): DiffLine {
    return { kind: "removed", text, a: index + 1, b: null };
}

function added(text: string, index: number): DiffLine {
    return { kind: "added", text, a: null, b: index + 1 };
}

/** Long stretches without a change become one line that says how long they were. */
function folded(all: DiffLine[], context: number): DiffLine[] {
    const near = all.map((_, index) =>
        all.slice(Math.max(index - context, 0), index + context + 1).some((line) => line.kind !== "same"),
    );
    const found: DiffLine[] = [];
    for (let index = 0; index < all.length; index += 1) {
        if (near[index]) {
            found.push(all[index] as DiffLine);
            continue;
        }
        const end = near.indexOf(true, index);
        const length = (end < 0 ? all.length : end) - index;
        found.push({
            kind: "skipped",
            text: `${length} ${length === 1 ? "line" : "lines"} as before`,
            a: null,
            b: null,
        });
        index += length - 1;
    }
    return found;
}

export function hasChanged(diff: DiffLine[]): boolean {
    return diff.some((line) => line.kind === "added" || line.kind === "removed");
}
