// What a load comes to, in words: the server says what it is (POST /specs/validate), this only spells it. Pure.
import type { LoadView } from "$lib/api/schema";
import { count, planned, rate as rateText, shown } from "$lib/format";

import { isObject } from "./paths";
import { type Spec, urlsOf } from "./spec";

/** `30 000 requests in 1 min to api.example.com, at most 64 at once`. */
export function inWords(spec: Spec, load: LoadView | null): string {
    if (!load) return "";
    const { forecast } = load;
    const noun = isObject(spec.scenarios) ? "iteration" : "request";
    const users = `${shown(count(Math.round(forecast.peak)))} ${forecast.peak === 1 ? "user" : "users"}`;
    const parts: string[] = [];
    if (forecast.requests !== null) {
        const ends = forecast.seconds === null ? "" : ` in ${planned(Number(forecast.seconds.toPrecision(6)))}`;
        const isMost = load.model === "closed" && forecast.seconds !== null;
        const about = load.model === "open" && load.arrival === "poisson" ? "about " : "";
        const requests = `${shown(count(forecast.requests))} ${forecast.requests === 1 ? noun : `${noun}s`}`;
        parts.push(`${isMost ? "at most " : about}${requests}${ends}`);
    } else if (load.model === "mixed") {
        // Of open and closed loads together, the peak is that of the open ones.
        const most = shown(rateText(forecast.peak));
        parts.push(`up to ${most} iterations /s, and users beside them, for ${planned(forecast.seconds)}`);
    } else {
        parts.push(`${users} for ${planned(forecast.seconds)}`);
    }
    const host = hostsOf(spec);
    if (host) parts[0] += ` to ${host}`;
    if (load.model === "closed" && forecast.requests !== null) parts.push(`by ${users}`);
    if (load.model === "open" && load.most_at_once !== null)
        parts.push(`at most ${shown(count(load.most_at_once))} at once`);
    if (load.model === "closed" && load.most_rate !== null) parts.push(`at most ${shown(rateText(load.most_rate))} /s`);
    if (forecast.warm_up_seconds > 0) parts.push(`after ${planned(forecast.warm_up_seconds)} of warm-up`);
    return parts.join(", ");
}

/** Where requests go, in few words. */
export function hostsOf(spec: Spec): string {
    const hosts = [
        ...new Set(
            urlsOf(spec)
                .map((url) => hostOf(url, spec))
                .filter(Boolean),
        ),
    ];
    const [first, second] = hosts;
    if (!first) return "";
    if (!second) return first;
    return hosts.length === 2 ? `${first} and ${second}` : `${first} and ${hosts.length - 1} more`;
}

function hostOf(url: string, spec: Spec): string {
    const variables = isObject(spec.variables) ? spec.variables : {};
    const whole = url.replace(/\{\{\s*([^{}|]+?)\s*\}\}/g, (text, name: string) =>
        typeof variables[name] === "string" ? variables[name] : text,
    );
    return /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]+)/i.exec(whole)?.[1] ?? "";
}
