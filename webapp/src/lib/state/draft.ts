// A test that is being written survives a reload of its page: in this tab's own storage, without its secrets.
import { type Omitted, withoutSecrets } from "$lib/spec/fields";
import { get, isObject, pathText } from "$lib/spec/paths";
import type { Spec } from "$lib/spec/spec";

const KEY = "atm.draft";

export interface Draft {
    spec: Spec;
    tags: string;
    notes: string;
    /** Secrets that have to be entered again. */
    omitted: Omitted[];
}

/** Those that still stand as the draft left them. */
export function stillOmitted(spec: Spec, omitted: readonly Omitted[]): Omitted[] {
    return omitted.filter(({ path, left }) => get(spec, path) === left);
}

/** `omitted`: what an earlier draft had left out already. */
export function keepDraft({ spec, tags, notes, omitted }: Draft): void {
    const bare = withoutSecrets(spec);
    const known = new Set(bare.omitted.map(({ path }) => pathText(path)));
    const before = stillOmitted(spec, omitted).filter(({ path }) => !known.has(pathText(path)));
    const draft: Draft = { spec: bare.spec, tags, notes, omitted: [...before, ...bare.omitted] };
    try {
        sessionStorage.setItem(KEY, JSON.stringify(draft));
    } catch {
        return; // storage is full or switched off: the page still holds it
    }
}

export function keptDraft(): Draft | null {
    try {
        const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Partial<Draft> | null;
        if (!isObject(kept) || !isObject(kept.spec) || !Object.keys(kept.spec).length) return null;
        return {
            spec: kept.spec,
            tags: String(kept.tags ?? ""),
            notes: String(kept.notes ?? ""),
            omitted: Array.isArray(kept.omitted) ? kept.omitted : [],
        };
    } catch {
        return null;
    }
}

export function dropDraft(): void {
    try {
        sessionStorage.removeItem(KEY);
    } catch {
        return;
    }
}
