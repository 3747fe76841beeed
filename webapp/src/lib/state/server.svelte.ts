// What this server allows, read once when a form first needs it.
import { api, ApiProblem } from "$lib/api/client";
import type { LimitsView } from "$lib/api/schema";

class ServerLimits {
    /** Null until they are known; the server's validation holds in any case. */
    limits = $state.raw<LimitsView | null>(null);

    async read(): Promise<void> {
        if (this.limits) return;
        try {
            ({ limits: this.limits } = await api.server());
        } catch (error) {
            if (!(error instanceof ApiProblem)) throw error;
        }
    }
}

export const serverLimits = new ServerLimits();
