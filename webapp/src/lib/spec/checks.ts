// The checks of a request as rows of a form and as they are written: a list, or a map from name to condition. Pure.
import { textOf } from "./fields";
import { isObject, omit, type Path } from "./paths";

export interface CheckRow {
    name: string;
    check: string;
    countsOnly: boolean;
    /** Fields that the form does not know. */
    rest: Record<string, unknown>;
}

export function newCheck(check = ""): CheckRow {
    return { name: "", check, countsOnly: false, rest: {} };
}

export function checkRows(checks: unknown): CheckRow[] {
    if (checks === undefined || checks === null) return [];
    if (Array.isArray(checks)) return (checks as unknown[]).map((each) => row(each));
    if (!isObject(checks)) return [row(checks)];
    return Object.entries(checks).map(([name, each]) => ({ ...row(each), name }));
}

function row(value: unknown): CheckRow {
    if (!isObject(value)) return newCheck(textOf(value));
    return {
        name: textOf(value.name),
        check: textOf(value.check),
        countsOnly: value.counts_only === true,
        rest: omit(value, "check", "name", "counts_only"),
    };
}

/** A map where every check has a name of its own, else a list; each as short as it can be. */
export function checksOf(rows: readonly CheckRow[]): unknown {
    if (!rows.length) return undefined;
    return isMap(rows)
        ? Object.fromEntries(rows.map((each) => [each.name, short({ ...each, name: "" })]))
        : rows.map(short);
}

function short({ name, check, countsOnly, rest }: CheckRow): unknown {
    if (!name && !countsOnly && !Object.keys(rest).length) return check;
    return { check, ...(name ? { name } : {}), ...(countsOnly ? { counts_only: true } : {}), ...rest };
}

function isMap(rows: readonly CheckRow[]): boolean {
    const names = new Set(rows.map((each) => each.name));
    // A name that is a whole number would change its place in an object.
    return !names.has("") && names.size === rows.length && ![...names].some((name) => /^\d+$/.test(name));
}

/** Where the check of a row stands below `path`. */
export function checkPath(path: Path, written: unknown, index: number, rows: readonly CheckRow[]): Path {
    if (Array.isArray(written) || !isObject(written)) return [...path, index];
    return [...path, rows[index]?.name ?? index];
}
