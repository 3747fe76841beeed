// A schedule as a form shows it, and as the API takes it. Pure.
import type { FiringView, ScheduleRequest, ScheduleView } from "$lib/api/schema";
import type { IconName } from "$lib/components/Icon.svelte";
import { tagsOf } from "$lib/spec/tags";
import { OUTCOMES, type Tone } from "$lib/verdict";

export type TriggerKind = "cron" | "interval" | "date" | "kept";
export type IntervalUnit = "seconds" | "minutes" | "hours" | "days";
type Trigger = ScheduleRequest["trigger"];
type Notification = NonNullable<ScheduleRequest["notify"]>[number];
type NotifyOn = "failure" | "recovery" | "always";

export interface ScheduleForm {
    name: string;
    description: string;
    /** Name or id of a kept test; empty where the schedule holds a spec of its own. */
    test: string;
    spec: Record<string, unknown> | null;
    kind: TriggerKind;
    expression: string;
    timezone: string;
    every: string;
    unit: IntervalUnit;
    /** As a field of date and time has it: `2026-11-24T02:30`. */
    runDate: string;
    /** A trigger that the form cannot show in parts. */
    kept: Trigger | null;
    maxRuns: string;
    tags: string;
    overlap: "skip" | "queue" | "allow";
    misfire: "run_once" | "skip";
    jitter: string;
    enabled: boolean;
    notify: { type: "webhook" | "apprise"; url: string; secret: string; on: NotifyOn[] }[];
    /** What the form does not show, as it was. */
    rest: Partial<ScheduleRequest>;
}

const UNITS: readonly [IntervalUnit, number][] = [
    ["days", 86_400],
    ["hours", 3600],
    ["minutes", 60],
    ["seconds", 1],
];

export const CRON_EXAMPLES: readonly { label: string; expression: string }[] = [
    { label: "Every hour", expression: "0 * * * *" },
    { label: "Every night", expression: "30 2 * * *" },
    { label: "Weekdays at 9", expression: "0 9 * * mon-fri" },
    { label: "Mondays", expression: "0 6 * * mon" },
];

export function emptyForm(test: string, zone: string): ScheduleForm {
    return {
        name: test ? `${test}, every night` : "",
        description: "",
        test,
        spec: null,
        kind: "cron",
        expression: "30 2 * * *",
        timezone: zone,
        every: "15",
        unit: "minutes",
        runDate: "",
        kept: null,
        maxRuns: "",
        tags: "",
        overlap: "skip",
        misfire: "run_once",
        jitter: "",
        enabled: true,
        notify: [],
        rest: {},
    };
}

export function formOf(schedule: ScheduleView, zone: string): ScheduleForm {
    const { trigger } = schedule;
    const form: ScheduleForm = {
        ...emptyForm("", zone),
        name: schedule.name,
        description: schedule.description,
        test: schedule.test ?? "",
        spec: schedule.spec,
        maxRuns: schedule.max_runs === null ? "" : String(schedule.max_runs),
        tags: schedule.tags.join(", "),
        overlap: schedule.overlap,
        misfire: schedule.misfire,
        jitter: schedule.jitter_seconds ? String(schedule.jitter_seconds) : "",
        enabled: schedule.enabled,
        notify: schedule.notify.map((each) => ({
            type: each.type === "apprise" ? "apprise" : "webhook",
            url: String(each.url ?? ""),
            secret: typeof each.secret === "string" ? each.secret : "",
            on: Array.isArray(each.on) ? (each.on as NotifyOn[]) : ["failure", "recovery"],
        })),
        rest: {
            misfire_grace_seconds: schedule.misfire_grace_seconds,
            start_date: schedule.start_date,
            end_date: schedule.end_date,
        },
    };
    if (trigger.type === "interval") {
        const total =
            (trigger.seconds ?? 0) +
            60 * (trigger.minutes ?? 0) +
            3600 * (trigger.hours ?? 0) +
            86_400 * (trigger.days ?? 0);
        const [unit, length] = UNITS.find(([, each]) => total % each === 0) ?? ["seconds", 1];
        return { ...form, kind: "interval", every: String(total / length), unit };
    }
    if (trigger.type === "date")
        return {
            ...form,
            kind: "date",
            runDate: minuteOf(trigger.run_date),
            timezone: zoneOf(trigger.run_date, trigger.timezone ?? "UTC"),
        };
    if (trigger.expression)
        return { ...form, kind: "cron", expression: trigger.expression, timezone: trigger.timezone ?? "UTC" };
    return { ...form, kind: "kept", kept: trigger };
}

/** A moment as a field has it: to the minute, or to the second where it is not at the beginning of one. */
const minuteOf = (moment: string): string => /^.{16}(?::(?!00)\d\d)?/.exec(moment)?.[0] ?? "";

/** A time with an offset of its own is in UTC here when that is what it says. */
function zoneOf(runDate: string, zone: string): string {
    return /(Z|\+00:00)$/.test(runDate) ? "UTC" : zone;
}

export function triggerOf(form: ScheduleForm): Trigger {
    switch (form.kind) {
        case "cron":
            return { type: "cron", expression: form.expression.trim() || " ", timezone: form.timezone.trim() || "UTC" };
        case "interval":
            // What is no number goes to the server as it is, which says so.
            return { type: "interval", seconds: 0, minutes: 0, hours: 0, days: 0, [form.unit]: numberOr(form.every) };
        case "date":
            return { type: "date", run_date: form.runDate, timezone: form.timezone.trim() || "UTC" };
        case "kept":
            return form.kept ?? { type: "interval", seconds: 0, minutes: 0, hours: 0, days: 0 };
    }
}

/** What the API has to be sent for a schedule to stay as it is, but for the spec that it holds. */
export function withSpec(schedule: ScheduleView, spec: Record<string, unknown>): ScheduleRequest {
    const { name, description, trigger, enabled, max_runs, tags, overlap, misfire, misfire_grace_seconds } = schedule;
    const { jitter_seconds, start_date, end_date, notify } = schedule;
    return {
        ...{ name, description, trigger, spec, enabled, max_runs, tags, overlap, misfire, misfire_grace_seconds },
        ...{ jitter_seconds, start_date, end_date, notify },
    } as unknown as ScheduleRequest;
}

export function requestOf(form: ScheduleForm): ScheduleRequest {
    return {
        ...form.rest,
        name: form.name.trim(),
        description: form.description,
        trigger: triggerOf(form),
        ...(form.test ? { test: form.test } : { spec: form.spec as ScheduleRequest["spec"] }),
        enabled: form.enabled,
        max_runs: form.maxRuns.trim() ? numberOr(form.maxRuns) : null,
        tags: tagsOf(form.tags),
        overlap: form.overlap,
        misfire: form.misfire,
        jitter_seconds: form.jitter.trim() ? numberOr(form.jitter) : 0,
        notify: form.notify.map((each): Notification =>
            each.type === "webhook"
                ? { type: "webhook", url: each.url.trim(), secret: each.secret || null, on: each.on }
                : { type: "apprise", url: each.url.trim(), on: each.on },
        ),
    } as ScheduleRequest;
}

function numberOr(text: string): number {
    const plain = text.trim();
    return (/^\d+$/.test(plain) ? Number(plain) : plain) as number;
}

/** The field of the form that a problem of the API belongs to. */
export function fieldOfProblem(path: string): string {
    const plain = path.replace(/^body\./, "");
    if (/timezone/.test(plain)) return "timezone";
    if (/^trigger/.test(plain))
        return /run_date|date/.test(plain)
            ? "runDate"
            : /interval|seconds|minutes|hours|days$/.test(plain) && !/cron/.test(plain)
              ? "every"
              : "expression";
    const notify = /^notify[.[](\d+)/.exec(plain);
    if (notify) return `notify.${notify[1]}${/[.\]]secret\b/.test(plain) ? ".secret" : ""}`;
    return (
        { max_runs: "maxRuns", jitter_seconds: "jitter", test: "test", spec: "test", tags: "tags", name: "name" }[
            plain.split(/[.[]/)[0] ?? ""
        ] ?? ""
    );
}

const FIRING_OUTCOMES: Record<FiringView["outcome"], { word: string; tone: Tone; icon: IconName }> = {
    queued: { word: "Queued behind the previous run", tone: "muted", icon: "clock" },
    started: { word: "Running", tone: "info", icon: "play" },
    passed: OUTCOMES.passed,
    failed: OUTCOMES.failed,
    invalid: OUTCOMES.invalid,
    stopped: OUTCOMES.stopped,
    cancelled: OUTCOMES.cancelled,
    skipped: { word: "Skipped, the previous run was still running", tone: "warn", icon: "dash" },
    missed: { word: "Missed, the server was not running", tone: "warn", icon: "warn" },
    error: OUTCOMES.error,
};

export function firingWords(outcome: FiringView["outcome"]): { word: string; tone: Tone; icon: IconName } {
    return FIRING_OUTCOMES[outcome];
}

/** `in 5 min`, `in 3 h`, `in 12 days`; `due` when it is more than 5 s late. */
export function until(at: Date, now: Date): string {
    const seconds = (at.getTime() - now.getTime()) / 1000;
    if (seconds < -5) return "due";
    if (seconds < 60) return `in ${Math.max(0, Math.round(seconds))} s`;
    if (seconds < 3600) return `in ${Math.round(seconds / 60)} min`;
    if (seconds < 172_800) return `in ${Math.round(seconds / 3600)} h`;
    return `in ${Math.round(seconds / 86_400)} days`;
}

/** A moment as people say it: `Tue 24 Nov, 02:30`, on the clocks of a zone. */
export function said(at: Date, zone: string | undefined): string {
    const parts = new Intl.DateTimeFormat("en-GB", {
        weekday: "short",
        day: "numeric",
        month: "short",
        hour: "2-digit",
        minute: "2-digit",
        second: at.getSeconds() ? "2-digit" : undefined,
        hourCycle: "h23",
        timeZone: zone,
    });
    const year = new Intl.DateTimeFormat("en-GB", { year: "numeric", timeZone: zone });
    const text = parts.format(at).replace(/^(\w+),? /, "$1 ");
    return year.format(at) === year.format(new Date()) ? text : `${text} (${year.format(at)})`;
}
