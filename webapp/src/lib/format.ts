// How a figure is spelled: the same rules as src/atm/models/figures.py, held to the same vectors
// (docs/reference/number-formats.json). Values are unrounded; null is no data, the string "Infinity" is +∞.

export type Figure = number | "Infinity" | null | undefined;

export const NO_DATA = "-";
const INFINITE = "∞";
const NARROW_SPACE = "\u202f";
const TIME_UNITS: readonly (readonly [string, number])[] = [
    ["ns", 1e-6],
    ["µs", 1e-3],
    ["ms", 1],
    ["s", 1e3],
];
const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** A figure as a number: null without data, Infinity for what lies beyond every sample. */
export function numeric(value: Figure): number | null {
    return value === "Infinity" ? Infinity : (value ?? null);
}

/** A time with the unit that fits it: `840 µs`, `12.4 ms`, `2.04 s`. */
export function time(milliseconds: Figure): string {
    const value = numeric(milliseconds);
    if (value === null || !Number.isFinite(value)) return special(value);
    const unit = timeUnit(value);
    return `${timeIn(value, unit)} ${unit}`;
}

/** The unit that fits a time, and with it a block whose median it is. */
export function timeUnit(milliseconds: Figure): string {
    const value = numeric(milliseconds);
    if (!value || !Number.isFinite(value)) return "ms";
    return TIME_UNITS.find(([, length]) => rounded(Math.abs(value) / length, 3) < 1000)?.[0] ?? "s";
}

/** A time as a number in `unit`, for a table that names its unit once. */
export function timeIn(milliseconds: Figure, unit: string): string {
    const value = numeric(milliseconds);
    if (value === null || !Number.isFinite(value)) return special(value);
    const length = TIME_UNITS.find(([name]) => name === unit)?.[1] ?? 1;
    return digits(value / length, 3, unit === "ns" ? 0 : 3);
}

/** A rate without its unit: `499.9`, `8,120`. */
export function rate(perSecond: Figure): string {
    const value = numeric(perSecond);
    if (value === null || !Number.isFinite(value)) return special(value);
    const text = digits(value, 4, 3);
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** An exact number with commas: `30,000`. */
export function count(number: number | null | undefined): string {
    return number === null || number === undefined ? NO_DATA : fixed(number, 0);
}

/** A share of requests, 0..1 as percent: `0.13 %`, `36.9 %`, `99.87 %`. */
export function share(part: Figure): string {
    const value = numeric(part);
    if (value === null) return NO_DATA;
    const percent = value * 100;
    if (percent <= 0) return "0 %";
    if (percent >= 100) return "100 %";
    if (percent > 99) return percent < 99.995 ? `${fixed(percent, 2)} %` : ">99.99 %";
    if (percent < 0.005) return "<0.01 %";
    return percent < 0.995 ? `${fixed(percent, 2)} %` : `${fixed(percent, 1)} %`;
}

/** A share of something that is not requests (CPU, progress, change), as whole percent: `34 %`. */
export function percent(part: Figure): string {
    const value = numeric(part);
    if (value === null || !Number.isFinite(value)) return special(value);
    return `${fixed(Math.floor(value * 100 + 0.5), 0)} %`;
}

/** A value of a metric that a test declares: `12,345`, `12.35 €`, `0.001234`. */
export function ownValue(number: Figure, unit = ""): string {
    const value = numeric(number);
    if (value === null || !Number.isFinite(value)) return special(value);
    const isWhole = Number.isInteger(value) || Math.abs(value) >= 999.95;
    let text = isWhole ? fixed(value, 0) : digits(value, 4, 9);
    if (text.includes(".") && !text.startsWith("<")) text = text.replace(/\.?0+$/, "");
    return unit ? `${text} ${unit}` : text;
}

/** A number of bytes in SI units: `512 B`, `52.0 kB`. */
export function size(number: number | null | undefined): string {
    if (number === null || number === undefined) return NO_DATA;
    for (const [power, unit] of BYTE_UNITS.entries()) {
        const scaled = number / 1000 ** power;
        if (rounded(scaled, 3) < 1000 || unit === "PB") return `${digits(scaled, 3, power ? 3 : 0)} ${unit}`;
    }
    return NO_DATA;
}

/** A measured length: `350 ms`, `34.0 s`, `5 min 12 s`, `2 h 03 min`. */
export function duration(seconds: Figure): string {
    const value = numeric(seconds);
    if (value === null || !Number.isFinite(value)) return special(value);
    if (value < 0.9995) return time(value * 1e3);
    if (value < 119.95) return `${fixed(value, 1)} s`;
    const whole = Math.floor(value + 0.5);
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
    const minutes = Math.floor(value / 60 + 0.5);
    return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

/** A duration as a user writes it: `5 s`, `2.5 s`, `1 min 30 s`, `2 h`. */
export function planned(seconds: number | null | undefined): string {
    if (seconds === null || seconds === undefined) return NO_DATA;
    const milliseconds = Math.floor(seconds * 1e3 + 0.5);
    if (milliseconds < 1000) return `${milliseconds} ms`;
    const hours = Math.floor(milliseconds / 3_600_000);
    const minutes = Math.floor((milliseconds % 3_600_000) / 60_000);
    const rest = milliseconds % 60_000;
    const parts = [hours ? `${hours} h` : "", minutes ? `${minutes} min` : "", rest ? `${rest / 1000} s` : ""];
    return parts.filter(Boolean).join(" ");
}

/** A moment of a run, since its start: `00:34`, `1:01:05`; the second that it lies in, not the nearest one. */
export function clock(seconds: number | null | undefined): string {
    if (seconds === null || seconds === undefined) return NO_DATA;
    const [minutes, rest] = [Math.floor(seconds / 60), Math.floor(seconds) % 60];
    if (minutes < 60) return `${pad(minutes)}:${pad(rest)}`;
    return `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(rest)}`;
}

/** How many times a limit: `1.3 ×`, `12 ×`; what is not the limit itself never reads `1.0 ×`. */
export function multiple(times: Figure): string {
    const value = numeric(times);
    if (value === null || !Number.isFinite(value)) return special(value);
    if (value >= 9.95) return `${fixed(Math.floor(value + 0.5), 0)} ×`;
    const text = fixed(value, 1);
    if (text !== "1.0" || value === 1) return `${text} ×`;
    const finer = fixed(value, 2);
    if (finer !== "1.00") return `${finer} ×`;
    return value > 1 ? "just over 1 ×" : "just under 1 ×";
}

/** As it stands on a page: thousands parted by a narrow space instead of a comma. */
export function shown(text: string): string {
    return text.replace(/(\d),(?=\d{3})/g, `$1${NARROW_SPACE}`);
}

/** What is copied from a page: digits that other programs read. */
export function plain(text: string): string {
    return text.replaceAll(/(\d)\u202f(?=\d{3})/g, "$1");
}

/** `3 min ago`, in words up to seven days; then the date. */
export function age(at: Date, now: Date, zone?: string): string {
    const seconds = Math.max(0, (now.getTime() - at.getTime()) / 1000);
    if (seconds < 10) return "just now";
    if (seconds < 60) return `${Math.floor(seconds)} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
    if (seconds < 7 * 86_400) {
        const days = Math.floor(seconds / 86_400);
        return days === 1 ? "yesterday" : `${days} days ago`;
    }
    return day(at, zone);
}

/** `2026-07-01`. */
export function day(at: Date, zone?: string): string {
    return new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeZone: zone }).format(at);
}

/** `2026-07-01 09:14:17`, and the name of the zone. */
export function exact(at: Date, zone?: string): string {
    const format = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone: zone });
    const parts = new Intl.DateTimeFormat("en", { timeZoneName: "short", timeZone: zone }).formatToParts(at);
    return `${format.format(at)} ${parts.find((part) => part.type === "timeZoneName")?.value ?? ""}`.trim();
}

function special(value: number | null): string {
    if (value === null) return NO_DATA;
    return value > 0 ? INFINITE : `-${INFINITE}`;
}

function digits(value: number, significant: number, decimals: number): string {
    if (value === 0) return "0";
    const near = rounded(value, significant);
    const places = Math.min(Math.max(significant - 1 - Math.floor(Math.log10(Math.abs(near))), 0), decimals);
    const text = fixed(near, places);
    return Number(text.replaceAll(",", "")) === 0 ? `<${fixed(10 ** -places, places)}` : text;
}

function rounded(value: number, significant: number): number {
    // toPrecision rounds ties of the exact value up, as Decimal's ROUND_HALF_UP does.
    return Number(value.toPrecision(significant));
}

function fixed(value: number, places: number): string {
    const [whole = "", decimals] = value.toFixed(places).split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
    return decimals === undefined ? grouped : `${grouped}.${decimals}`;
}

function pad(number: number): string {
    return String(number).padStart(2, "0");
}
