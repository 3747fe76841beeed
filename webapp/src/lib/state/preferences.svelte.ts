import { flushSync } from "svelte";

import { PALETTES, type Palette, type Theme } from "$lib/colours";

type ThemeChoice = Theme | "system";

function stored(name: string): string | null {
    try {
        return localStorage.getItem(name);
    } catch {
        return null; // storage is switched off; what is chosen holds for this page
    }
}

function store(name: string, value: string | null): void {
    try {
        if (value === null) localStorage.removeItem(name);
        else localStorage.setItem(name, value);
    } catch {
        return;
    }
}

/** How this browser wants to see things. */
class Preferences {
    #choice = $state<ThemeChoice>("system");
    #system = $state<Theme>("dark");
    #utc = $state(false);
    #isPrinting = $state(false);
    /** Paper is light, whatever the screen is. */
    theme = $derived<Theme>(this.#isPrinting ? "light" : this.#choice === "system" ? this.#system : this.#choice);
    palette = $derived<Palette>(PALETTES[this.theme]);

    constructor() {
        const chosen = stored("atm.theme");
        this.#choice = chosen === "dark" || chosen === "light" ? chosen : "system";
        this.#utc = stored("atm.zone") === "utc";
        const light = matchMedia("(prefers-color-scheme: light)");
        this.#system = light.matches ? "light" : "dark";
        light.addEventListener("change", () => (this.#system = light.matches ? "light" : "dark"));
        // At once: the page is printed as it is when the event has been handled.
        addEventListener("beforeprint", () => flushSync(() => (this.#isPrinting = true)));
        addEventListener("afterprint", () => (this.#isPrinting = false));
    }

    get choice(): ThemeChoice {
        return this.#choice;
    }

    set choice(choice: ThemeChoice) {
        this.#choice = choice;
        store("atm.theme", choice === "system" ? null : choice);
    }

    get utc(): boolean {
        return this.#utc;
    }

    set utc(utc: boolean) {
        this.#utc = utc;
        store("atm.zone", utc ? "utc" : null);
    }

    /** For Intl: undefined is the browser's own. */
    get zone(): string | undefined {
        return this.#utc ? "UTC" : undefined;
    }
}

export const preferences = new Preferences();
