// Names to offer while a `{{…}}` is being written. Pure.

const MOST = 8;

/** The part of a name that stands between `{{` and the cursor; null where none is being written. */
export function begun(text: string, cursor: number): string | null {
    return /\{\{\s*([\w.]*)$/.exec(text.slice(0, cursor))?.[1] ?? null;
}

/** Those that fit what was begun, the ones that begin with it first. */
export function suggested(names: readonly string[], start: string): string[] {
    const wanted = start.toLowerCase();
    const fitting = names.filter((name) => name.toLowerCase().includes(wanted));
    const first = fitting.filter((name) => name.toLowerCase().startsWith(wanted));
    return [...new Set([...first, ...fitting])].slice(0, MOST);
}

/** The text with the name in place of what was begun: from where to where, and by what. */
export function completion(text: string, cursor: number, name: string): { from: number; to: number; by: string } {
    const from = text.lastIndexOf("{{", cursor - 1);
    const closing = /^[\w.]*\s*\}\}/.exec(text.slice(cursor))?.[0].length ?? 0;
    return { from, to: cursor + closing, by: `{{${name}}}` };
}
