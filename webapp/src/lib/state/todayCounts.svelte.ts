import { api, ApiProblem } from "$lib/api/client";
import { today } from "$lib/state/when";

interface Counts {
    today: number;
    passed: number;
    judged: number;
    running: number;
}

/** The number of today's runs, of those that passed and ended, and of runs in progress. */
export class TodayCounts {
    value = $state.raw<Counts | null>(null);
    #turns = 0;
    #waiting: ReturnType<typeof setTimeout> | undefined;
    #utc: () => boolean;

    constructor(utc: () => boolean) {
        this.#utc = utc;
    }

    /** Read them from the server. An error leaves the last ones: the list shows what is wrong. */
    async read(): Promise<void> {
        const since = today(new Date(), this.#utc()).toISOString();
        const turn = (this.#turns += 1);
        try {
            const [all, passed, queued, active, running] = await Promise.all([
                api.runs({ since, limit: 1 }),
                api.runs({ since, outcome: "passed", limit: 1 }),
                api.runs({ since, outcome: "queued", limit: 1 }),
                api.runs({ since, outcome: "running", limit: 1 }),
                api.runs({ outcome: "running", limit: 1 }),
            ]);
            if (turn !== this.#turns) return;
            const number = all.total ?? 0;
            const judged = Math.max(0, number - (queued.total ?? 0) - (active.total ?? 0));
            this.value = { today: number, passed: passed.total ?? 0, judged, running: running.total ?? 0 };
        } catch (error) {
            if (!(error instanceof ApiProblem)) throw error;
        }
    }

    /** Read them within a second, once for all changes until then. */
    readSoon(): void {
        if (this.#waiting) return;
        this.#waiting = setTimeout(() => {
            this.#waiting = undefined;
            void this.read();
        }, 1000);
    }
}
