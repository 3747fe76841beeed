export interface Toast {
    id: number;
    text: string;
    kind: "info" | "fail";
    hint?: string;
    action?: { label: string; run: () => void };
}

interface Doing {
    /** What is said, and can be taken back for a while. */
    text: string;
    undo: () => void;
    commit: (leaving: boolean) => Promise<unknown> | undefined;
}

const SHOWN_MS = 6000;

/** What has just happened, said at the bottom of the page. */
class Toasts {
    list = $state<Toast[]>([]);
    #next = 1;
    #pending = new Map<number, Doing>();
    /** What ends each of them, and after how long. */
    #ends = new Map<number, { timer: ReturnType<typeof setTimeout>; after: number; end: () => void }>();

    constructor() {
        // What was not taken back happens, also when the page is left.
        addEventListener("pagehide", () => {
            for (const id of [...this.#pending.keys()]) void this.#commit(id, true);
        });
    }

    say(text: string, more: Partial<Omit<Toast, "id" | "text">> = {}): number {
        const id = this.#next++;
        this.list.push({ id, text, kind: "info", ...more });
        this.#endAfter(id, more.kind === "fail" ? SHOWN_MS * 2 : SHOWN_MS, () => this.dismiss(id));
        return id;
    }

    fail(error: unknown): void {
        const hint = (error as { hint?: string }).hint;
        this.say(error instanceof Error ? error.message : String(error), { kind: "fail", hint: hint || undefined });
    }

    /** Something that happens after a while, unless it is taken back. */
    undoable(doing: Doing): void {
        const id = this.#next++;
        this.#pending.set(id, doing);
        const undo = (): void => {
            this.#pending.delete(id);
            this.#remove(id);
            doing.undo();
        };
        this.list.push({ id, text: doing.text, kind: "info", action: { label: "Undo", run: undo } });
        this.#endAfter(id, SHOWN_MS, () => void this.#commit(id, false));
    }

    #endAfter(id: number, after: number, end: () => void): void {
        this.#ends.set(id, { timer: setTimeout(end, after), after, end });
    }

    /** Keep a toast while the pointer or the focus is in it. */
    hold(id: number): void {
        clearTimeout(this.#ends.get(id)?.timer);
    }

    release(id: number): void {
        const known = this.#ends.get(id);
        if (!known) return;
        clearTimeout(known.timer);
        this.#endAfter(id, known.after, known.end);
    }

    dismiss(id: number): void {
        if (this.#pending.has(id)) void this.#commit(id, false);
        this.#remove(id);
    }

    async #commit(id: number, leaving: boolean): Promise<void> {
        const doing = this.#pending.get(id);
        this.#pending.delete(id);
        this.#remove(id);
        if (!doing) return;
        try {
            await doing.commit(leaving);
        } catch (error) {
            doing.undo();
            this.fail(error);
        }
    }

    #remove(id: number): void {
        clearTimeout(this.#ends.get(id)?.timer);
        this.#ends.delete(id);
        this.list = this.list.filter((toast) => toast.id !== id);
    }
}

export const toasts = new Toasts();
