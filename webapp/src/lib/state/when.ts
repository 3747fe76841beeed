// Days and times of a filter, as an address keeps them and as fields show them. Pure.

/** A day on the reader's clocks, perhaps with a time of it. */
export interface Moment {
    /** `2026-11-23` */
    day: string;
    /** `14:30`, or empty: the whole day. */
    time: string;
}

export const NO_MOMENT: Moment = { day: "", time: "" };
const FORM = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/i;

/** `2026-11-23`, `2026-11-23T14:30`, or with a zone of its own, which is turned into the reader's; null: none of these. */
export function momentOf(text: string, utc: boolean): Moment | null {
    const parts = FORM.exec(text.trim());
    if (!parts) return null;
    const [, year, month, date, hour, minute, zone] = parts;
    const day = `${year}-${month}-${date}`;
    const time = hour === undefined ? "" : `${hour}:${minute}`;
    // What does not exist (30 February, 25:00) is not moved to what does.
    const asUtc = new Date(`${day}T${time || "00:00"}Z`);
    if (Number.isNaN(asUtc.getTime()) || asUtc.toISOString().slice(0, 10) !== day) return null;
    if (!zone) return { day, time };
    const instant = new Date(`${day}T${time}${zone.toUpperCase()}`);
    return Number.isNaN(instant.getTime()) ? null : ofInstant(instant, utc);
}

function ofInstant(at: Date, utc: boolean): Moment {
    const shifted = utc ? at : new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
    const text = shifted.toISOString();
    return { day: text.slice(0, 10), time: text.slice(11, 16) };
}

/** When it is; of a whole day its beginning, or with `end` the beginning of the next. */
export function instantOf(moment: Moment, utc: boolean, end = false): Date {
    const [year = 0, month = 1, date = 1] = moment.day.split("-").map(Number);
    const [hour = 0, minute = 0] = moment.time ? moment.time.split(":").map(Number) : [];
    const day = date + (end && !moment.time ? 1 : 0);
    return utc ? new Date(Date.UTC(year, month - 1, day, hour, minute)) : new Date(year, month - 1, day, hour, minute);
}

/** As an address keeps it: a day is in the reader's time zone, a time says its own and is the same for everybody. */
export function written(moment: Moment, utc: boolean): string {
    if (!moment.day || !moment.time) return moment.day;
    const minutes = utc ? 0 : -instantOf(moment, utc).getTimezoneOffset();
    const pad = (number: number): string => String(Math.trunc(number)).padStart(2, "0");
    const zone = minutes
        ? `${minutes < 0 ? "-" : "+"}${pad(Math.abs(minutes) / 60)}:${pad(Math.abs(minutes) % 60)}`
        : "Z";
    return `${moment.day}T${moment.time}${zone}`;
}

/** Midnight, when today began. */
export function today(now: Date, utc: boolean): Date {
    return instantOf({ ...ofInstant(now, utc), time: "" }, utc);
}
