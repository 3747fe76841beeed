import { describe, expect, it } from "vitest";

import type { ScheduleView } from "$lib/api/schema";

import * as schedules from "./schedules";

const VIEW: ScheduleView = {
    id: "1",
    name: "nightly",
    description: "",
    enabled: true,
    trigger: {
        type: "cron",
        expression: "30 2 * * *",
        timezone: "Europe/Berlin",
        minute: null,
        hour: null,
        day: null,
        month: null,
        day_of_week: null,
    },
    describes: "",
    spec: null,
    test: "shop",
    max_runs: 5,
    run_count: 0,
    tags: ["a", "b"],
    overlap: "queue",
    misfire: "skip",
    misfire_grace_seconds: 90,
    jitter_seconds: 10,
    start_date: null,
    end_date: null,
    notify: [{ type: "webhook", url: "https://x/***", secret: "***", on: ["failure"] }],
    created_at: "",
    updated_at: "",
    next_due: null,
    upcoming: [],
    recent: [],
    last_run: null,
} as unknown as ScheduleView;

describe("a schedule", () => {
    it("goes through the form unchanged, with what the form does not show", () => {
        const request = schedules.requestOf(schedules.formOf(VIEW, "UTC"));
        expect(request).toMatchObject({
            name: "nightly",
            test: "shop",
            trigger: { type: "cron", expression: "30 2 * * *", timezone: "Europe/Berlin" },
            max_runs: 5,
            tags: ["a", "b"],
            overlap: "queue",
            misfire: "skip",
            misfire_grace_seconds: 90,
            jitter_seconds: 10,
            notify: [{ type: "webhook", url: "https://x/***", secret: "***", on: ["failure"] }],
        });
        expect(request.spec).toBeUndefined();
    });

    it("takes another spec, and stays as it is in all else", () => {
        const own = { ...VIEW, test: null, spec: { name: "before" } } as unknown as ScheduleView;
        const request = schedules.withSpec(own, { name: "after" });
        expect(request).toMatchObject({
            name: "nightly",
            spec: { name: "after" },
            trigger: VIEW.trigger,
            misfire_grace_seconds: 90,
            notify: [{ type: "webhook", url: "https://x/***", secret: "***", on: ["failure"] }],
        });
        expect(request.test).toBeUndefined();
        expect(request).not.toHaveProperty("recent");
    });

    it("for one moment keeps its second", () => {
        const at = (run_date: string): string =>
            schedules.formOf({ ...VIEW, trigger: { type: "date", run_date, timezone: "UTC" } }, "UTC").runDate;
        expect(at("2026-11-24T02:30:15Z")).toBe("2026-11-24T02:30:15");
        expect(at("2026-11-24T02:30:00Z")).toBe("2026-11-24T02:30");
    });

    it("has a problem of a secret at the secret", () => {
        expect(schedules.fieldOfProblem("body.notify.1.webhook.secret")).toBe("notify.1.secret");
        expect(schedules.fieldOfProblem("body.notify.1.webhook.secret.literal['***']")).toBe("notify.1.secret");
        expect(schedules.fieldOfProblem("notify[0].secret")).toBe("notify.0.secret");
        expect(schedules.fieldOfProblem("notify[0].url")).toBe("notify.0");
    });

    it("with fields of its own keeps its trigger", () => {
        const trigger = {
            type: "cron",
            minute: "5",
            hour: null,
            day: null,
            month: null,
            day_of_week: "0",
            expression: null,
            timezone: "UTC",
        } as ScheduleView["trigger"];
        expect(schedules.requestOf(schedules.formOf({ ...VIEW, trigger }, "UTC")).trigger).toEqual(trigger);
    });

    it("every so often is in the largest unit that fits", () => {
        const of = (trigger: object): string => {
            const form = schedules.formOf(
                {
                    ...VIEW,
                    trigger: {
                        type: "interval",
                        seconds: 0,
                        minutes: 0,
                        hours: 0,
                        days: 0,
                        ...trigger,
                    } as ScheduleView["trigger"],
                },
                "UTC",
            );
            return `${form.every} ${form.unit}`;
        };
        expect([of({ seconds: 90 }), of({ minutes: 60 }), of({ hours: 48 }), of({ hours: 1, minutes: 30 })]).toEqual([
            "90 seconds",
            "1 hours",
            "2 days",
            "90 minutes",
        ]);
    });

    it("sends what is no number as it was typed, for the server to refuse", () => {
        const form = { ...schedules.emptyForm("shop", "UTC"), kind: "interval" as const, every: "x" };
        expect(schedules.triggerOf(form)).toMatchObject({ type: "interval", minutes: "x" });
    });

    it("has each problem at its field", () => {
        expect(
            [
                "trigger.timezone",
                "body.trigger.interval",
                "trigger.expression",
                "body.trigger.date.run_date",
                "body.name",
                "body.notify.1.webhook.url",
                "body.max_runs",
                "test",
            ].map(schedules.fieldOfProblem),
        ).toEqual(["timezone", "every", "expression", "runDate", "name", "notify.1", "maxRuns", "test"]);
    });
});

describe("a due time", () => {
    it("is said in words", () => {
        const now = new Date("2026-11-23T12:00:00Z");
        const after = (seconds: number): string => schedules.until(new Date(now.getTime() + seconds * 1000), now);
        expect([after(30), after(300), after(7200), after(3 * 86_400), after(-60)]).toEqual([
            "in 30 s",
            "in 5 min",
            "in 2 h",
            "in 3 days",
            "due",
        ]);
        expect(schedules.said(new Date("2099-11-24T01:30:00Z"), "Europe/Berlin")).toBe("Tue 24 Nov, 02:30 (2099)");
        expect(schedules.said(new Date("2099-11-24T01:30:20Z"), "UTC")).toBe("Tue 24 Nov, 01:30:20 (2099)");
    });
});
