import { api, ApiProblem } from "$lib/api/client";
import type { SessionView } from "$lib/api/schema";

/** Who is looking. The server decides what they may do; this only spares them what it would refuse. */
class Who {
    #role = $state<SessionView["role"] | null>(null);

    /** A user with a viewer's key may read only. */
    readonly mayChange = $derived(this.#role !== "viewer");

    readonly isAdmin = $derived(this.#role === "admin");

    async read(): Promise<void> {
        try {
            this.#role = (await api.session()).role;
        } catch (error) {
            // No one is signed in, or the server is away: the pages say so.
            if (!(error instanceof ApiProblem)) throw error;
            this.#role = null;
        }
    }
}

export const who = new Who();
