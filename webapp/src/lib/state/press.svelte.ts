// A press of the pointer is a click only if what lies under it stays there until it is released. What the pages insert or
// remove by themselves (messages of the validation, rows that arrive, toasts) therefore waits until the click has landed.
import { untrack } from "svelte";

/** A press that becomes a drag or a selection of text has no click: then the release ends it, this much later. */
const NO_CLICK_MS = 80;

class Press {
    /** The main button is down, or its click is still to come. */
    isDown = $state(false);
    #ending: ReturnType<typeof setTimeout> | undefined;

    constructor() {
        if (typeof window === "undefined") return;
        const capture = { capture: true, passive: true };
        addEventListener("pointerdown", (event) => event.button === 0 && this.#begin(), capture);
        addEventListener("pointerup", () => this.#endAfter(NO_CLICK_MS), capture);
        // After all handlers of the click.
        addEventListener("click", () => this.#endAfter(0), capture);
        for (const name of ["pointercancel", "dragend", "contextmenu", "blur"] as const)
            addEventListener(
                name,
                (event) => (event.target === window || name !== "blur") && this.#endAfter(0),
                capture,
            );
    }

    #begin(): void {
        clearTimeout(this.#ending);
        this.#ending = undefined;
        this.isDown = true;
    }

    #endAfter(wait: number): void {
        if (!this.isDown) return;
        clearTimeout(this.#ending);
        this.#ending = setTimeout(() => (this.isDown = false), wait);
    }
}

export const press = new Press();

/** What `read` gives, except that it does not change while the pointer is pressed. */
export function held<Value>(read: () => Value): () => Value {
    let last: Value | undefined;
    let isRead = false;
    // Of its own, so that a press that changes nothing gives the same value, and what depends on it stays at rest.
    const current = $derived(read());
    const value = $derived.by((): Value => {
        const now = current;
        if (!press.isDown || !isRead) {
            last = now;
            isRead = true;
        }
        return last as Value;
    });
    return () => value;
}

/** Does it now, or as soon as the pointer is released: for what is written once and cannot be read again. */
export function settled(doing: () => void): void {
    if (!untrack(() => press.isDown)) return doing();
    const stop = $effect.root(() => {
        $effect(() => {
            if (press.isDown) return;
            untrack(doing);
            queueMicrotask(stop);
        });
    });
}
