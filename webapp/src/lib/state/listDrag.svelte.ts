// Moves an item of a list by its handle, with a mouse, a pen or a finger: the list changes when the handle is let go.

/** A pointer this close to the edge of the window scrolls the page. */
const EDGE = 56;
const SCROLL = 10;

/** The place of an item that is dragged to `y`: past the middle of another one, it takes that one's place. */
export function placeAt(y: number, from: number, middles: readonly number[]): number {
    const before = middles.filter((middle, index) => index < from && middle < y).length;
    const after = middles.filter((middle, index) => index > from && middle < y).length;
    return before + after;
}

export class ListDrag {
    /** The item that is dragged, and the place where it would go; -1 while none is. */
    from = $state(-1);
    to = $state(-1);

    readonly #items: () => readonly Element[];
    readonly #move: (index: number, by: number) => void;
    #stop: (() => void) | undefined;

    constructor(items: () => readonly Element[], move: (index: number, by: number) => void) {
        this.#items = items;
        this.#move = move;
    }

    /** For `pointerdown` on the handle of an item. */
    start(event: PointerEvent, index: number): void {
        if (event.button !== 0 || this.#stop) return;
        // No selection of text, and no focus that moves away from a field.
        event.preventDefault();
        const handle = event.currentTarget as HTMLElement;
        handle.setPointerCapture(event.pointerId);
        [this.from, this.to] = [index, index];
        let y = event.clientY;
        let frame = 0;
        const follow = (): void => {
            const by = y < EDGE ? -SCROLL : y > innerHeight - EDGE ? SCROLL : 0;
            if (by) scrollBy(0, by);
            const boxes = this.#items().map((item) => item.getBoundingClientRect());
            this.to = placeAt(
                y,
                index,
                boxes.map(({ top, height }) => top + height / 2),
            );
            frame = by ? requestAnimationFrame(follow) : 0;
        };
        const events = new AbortController();
        const { signal } = events;
        const end = (commit: boolean): void => {
            cancelAnimationFrame(frame);
            events.abort();
            this.#stop = undefined;
            const by = this.to - this.from;
            [this.from, this.to] = [-1, -1];
            if (commit && by) this.#move(index, by);
        };
        this.#stop = () => end(false);
        handle.addEventListener(
            "pointermove",
            (moved) => {
                y = moved.clientY;
                if (!frame) follow();
            },
            { signal },
        );
        handle.addEventListener("pointerup", () => end(true), { signal });
        handle.addEventListener("pointercancel", () => end(false), { signal });
        handle.addEventListener("lostpointercapture", () => end(false), { signal });
        addEventListener(
            "keydown",
            (pressed) => {
                if (pressed.key !== "Escape") return;
                pressed.stopPropagation();
                end(false);
            },
            { signal, capture: true },
        );
    }

    /** Without a change, as the list goes away. */
    stop(): void {
        this.#stop?.();
    }
}
