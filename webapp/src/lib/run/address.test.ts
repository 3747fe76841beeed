import { expect, test } from "vitest";

import { addressOf, DEFAULTS, parametersOf } from "./address";

const read = (text: string): ReturnType<typeof addressOf> => addressOf(new URLSearchParams(text));

test("an address keeps all that is chosen on the page of a run", () => {
    const chosen = {
        window: { start: 12, end: 24 },
        endpoint: "POST /orders & more",
        kind: "first_byte",
        scale: "log",
        figure: "max",
        spread: "histogram",
        outcome: "timeout",
        reason: "slowest",
        request: 0,
    } as const;
    const text = parametersOf(chosen, new URLSearchParams()).toString();
    expect(read(text)).toEqual(chosen);
});

test("what is as always is not written, and other parameters stay", () => {
    expect(parametersOf(DEFAULTS, new URLSearchParams("x=1&scale=log")).toString()).toBe("x=1");
    expect(read("")).toEqual(DEFAULTS);
});

test("what makes no sense in an address is ignored", () => {
    expect(read("window=24-12&time=never&scale=2&figure=p1&request=-1&reason=why")).toEqual(DEFAULTS);
    expect(read("window=1e9-2e9&request=1.5&spread=butter")).toEqual(DEFAULTS);
    expect(read("window=0.5-3.2").window).toEqual({ start: 0, end: 4 });
});
