// A test that is being written survives a reload of its page: in this tab's own storage, without its secrets.
import { withoutSecrets } from "$lib/spec/fields";
import { isObject } from "$lib/spec/paths";
import type { Spec } from "$lib/spec/spec";

const KEY = "atm.draft";

export function keepDraft(spec: Spec): void {
    try {
        sessionStorage.setItem(KEY, JSON.stringify(withoutSecrets(spec)));
    } catch {
        return; // storage is full or switched off: the page still holds it
    }
}

export function keptDraft(): Spec | null {
    try {
        const kept: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
        return isObject(kept) && Object.keys(kept).length ? kept : null;
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
