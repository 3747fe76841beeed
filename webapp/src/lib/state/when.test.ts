import { expect, test } from "vitest";

import { instantOf, momentOf, today, written } from "./when";

test("days and times are read as they are written, in the reader's zone or in one of their own", () => {
    expect(momentOf("2026-11-23", true)).toEqual({ day: "2026-11-23", time: "" });
    expect(momentOf("2026-11-23T14:30", true)).toEqual({ day: "2026-11-23", time: "14:30" });
    expect(momentOf("2026-11-23T14:30:10.5Z", true)).toEqual({ day: "2026-11-23", time: "14:30" });
    expect(momentOf("2026-11-23T00:30+02:00", true)).toEqual({ day: "2026-11-22", time: "22:30" });
});

test("what is no day or no time is not taken for another", () => {
    for (const text of [
        "",
        "yesterday",
        "2026-02-30",
        "2026-13-01",
        "2026-11-23T25:00",
        "2026-11-23T14:61",
        "23.11.2026",
    ])
        expect(momentOf(text, true), text).toBeNull();
    expect(momentOf("2028-02-29", true)).not.toBeNull();
});

test("a day lasts from its midnight to the next", () => {
    const day = { day: "2026-12-31", time: "" };
    expect(instantOf(day, true).toISOString()).toBe("2026-12-31T00:00:00.000Z");
    expect(instantOf(day, true, true).toISOString()).toBe("2027-01-01T00:00:00.000Z");
    expect(instantOf({ ...day, time: "08:05" }, true, true).toISOString()).toBe("2026-12-31T08:05:00.000Z");
});

test("what is written is read as the same moment, whatever the zone of the machine", () => {
    for (const utc of [true, false]) {
        for (const moment of [
            { day: "2026-07-01", time: "14:30" },
            { day: "2026-01-01", time: "00:00" },
        ]) {
            const text = written(moment, utc);
            expect(new Date(text)).toEqual(instantOf(moment, utc));
            expect(momentOf(text, utc)).toEqual(moment);
        }
        expect(written({ day: "2026-07-01", time: "" }, utc)).toBe("2026-07-01");
    }
});

test("today begins at midnight of the chosen zone", () => {
    expect(today(new Date("2026-07-10T23:59:00Z"), true).toISOString()).toBe("2026-07-10T00:00:00.000Z");
});
