import type { StreamState } from "$lib/api/stream";

/** How the streams of this page stand: the banner at the top says so when one is lost. */
class Connection {
    #states = $state<Record<string, StreamState>>({});
    lost = $derived(Object.values(this.#states).includes("lost"));
    /** Until when what is shown is known, in words of the page. */
    since = $state("");

    set(name: string, state: StreamState): void {
        this.#states[name] = state;
    }

    forget(name: string): void {
        // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- a record of what is open
        delete this.#states[name];
        this.since = "";
    }
}

export const connection = new Connection();
