// Places in a spec: `endpoints[1].url` as the validator writes it, and as a list of names and numbers. Pure.

export type Path = readonly (string | number)[];

/** A path as people read it: `endpoints[1].url`. */
export function pathText(path: Path): string {
    return path.reduce<string>(
        (text, part) => (typeof part === "number" ? `${text}[${part}]` : text ? `${text}.${part}` : part),
        "",
    );
}

/**
 * The place that a text of the validator names. Names may hold dots themselves (`headers.X-A.b`), so `data` decides
 * where it can: the longest name that is there wins. What stands behind a space (`character 23`) is no part of it.
 */
export function parsePath(text: string, data?: unknown): Path {
    const path: (string | number)[] = [];
    let rest = text.replace(/^(?:body\.)?spec\.(?=.)/, "");
    let here = data;
    while (rest) {
        const index = /^\[(\d+)\]\.?/.exec(rest);
        if (index) {
            path.push(Number(index[1]));
            here = child(here, Number(index[1]));
            rest = rest.slice(index[0].length);
            continue;
        }
        const name = knownName(rest, here) ?? /^[^.[\s]+/.exec(rest)?.[0];
        if (!name) break;
        path.push(name);
        here = child(here, name);
        rest = rest.slice(name.length).replace(/^\./, "");
        if (rest.startsWith(" ")) break;
    }
    return path;
}

function knownName(text: string, here: unknown): string | undefined {
    if (!isObject(here)) return undefined;
    return Object.keys(here)
        .filter((name) => name && text.startsWith(name) && /^($|[.[\s])/.test(text.slice(name.length)))
        .toSorted((a, b) => b.length - a.length)[0];
}

export function isObject(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

function child(here: unknown, part: string | number): unknown {
    if (Array.isArray(here)) return typeof part === "number" ? here[part] : undefined;
    return isObject(here) && Object.hasOwn(here, part) ? here[part] : undefined;
}

export function get(data: unknown, path: Path): unknown {
    return path.reduce<unknown>(child, data);
}

/** A copy with `value` there; objects on the way are made; undefined removes, and with it what is empty then. */
export function set<Data>(data: Data, path: Path, value: unknown): Data {
    return changed(data, path, value) as Data;
}

function changed(data: unknown, path: Path, value: unknown): unknown {
    const [part, ...rest] = path;
    if (part === undefined) return value;
    if (typeof part === "number") {
        const list: unknown[] = Array.isArray(data) ? [...(data as unknown[])] : [];
        const item = changed(list[part], rest, value);
        if (item === undefined && rest.length === 0) list.splice(part, 1);
        else list[part] = item ?? {};
        return list;
    }
    const item = changed(child(data, part), rest, value);
    const entries: [string, unknown][] = isObject(data) ? Object.entries(data) : [];
    const index = entries.findIndex(([name]) => name === part);
    if (item === undefined || (value === undefined && isEmpty(item))) {
        return Object.fromEntries(entries.filter(([name]) => name !== part));
    }
    if (index < 0) entries.push([part, item]);
    else entries[index] = [part, item];
    // From entries, a field called `__proto__` is one like any other.
    return Object.fromEntries(entries);
}

function isEmpty(value: unknown): boolean {
    return isObject(value) && Object.keys(value).length === 0;
}

/** A copy without these fields. */
export function omit<Data extends object>(data: Data, ...names: (keyof Data & string)[]): Data {
    return Object.fromEntries(Object.entries(data).filter(([name]) => !(names as string[]).includes(name))) as Data;
}
