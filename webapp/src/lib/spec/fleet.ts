// `fleet` of a spec: where its load is sent from. Pure.
import { count } from "$lib/format";

import { textOf } from "./fields";
import { isObject, omit } from "./paths";
import type { Spec } from "./spec";

/** Places as choices of the form: one process of the server, several, or else the name of a cluster. */
export const ONE = "";
export const PROCESSES = "processes";

export function placeOf(spec: Spec): string {
    const { fleet } = spec;
    if (!isObject(fleet)) return ONE;
    return textOf(fleet.on) || (textOf(fleet.processes) ? PROCESSES : ONE);
}

/** The spec with another place; the number of workers and the rule for lost ones stay. */
export function withPlace(spec: Spec, place: string): Spec {
    const { fleet, ...rest } = spec;
    if (place === ONE) return rest;
    const { processes, workers, allow_open_cluster, ...others } = isObject(fleet) ? omit(fleet, "on") : {};
    const number = processes ?? workers ?? 2;
    if (place === PROCESSES) return { ...rest, fleet: { processes: number, ...others } };
    const open = allow_open_cluster === undefined ? {} : { allow_open_cluster };
    return { ...rest, fleet: { on: place, workers: number, ...open, ...others } };
}

/** In a few words: `3 processes`, `8 workers on ray://head:10001`; empty for one process. */
export function fleetText(spec: Spec): string {
    const place = placeOf(spec);
    if (place === ONE || !isObject(spec.fleet)) return "";
    const { processes, workers } = spec.fleet;
    if (place === PROCESSES) return many(processes, "process", "processes");
    return `${many(workers, "worker", "workers")} on ${place}`;
}

function many(number: unknown, one: string, several: string): string {
    if (typeof number === "number") return `${count(number)} ${number === 1 ? one : several}`;
    return `${textOf(number)} ${several}`.trim();
}
