// The Control API, typed from openapi.json. Pages call it; components are given what they show.
import type {
    AnnotateRequest,
    AuditList,
    BatchCancelled,
    BatchDetail,
    BatchList,
    CompareAnswer,
    CurlAnswer,
    DistributionView,
    ErrorDocument,
    ErrorEntry,
    FiringList,
    HealthView,
    HistoryView,
    IntervalsView,
    PreviewAnswer,
    ReadyView,
    RunAccepted,
    RunList,
    RunResult,
    RunView,
    IterationSummary,
    SampledExchange,
    SampledIteration,
    ScheduleList,
    ScheduleRequest,
    ScheduleView,
    ServerView,
    SessionList,
    SessionView,
    StartedRuns,
    StorageOverview,
    SavedTestView,
    SyncAnswer,
    TestFileList,
    TestFilePreview,
    TestFileView,
    TestList,
    TestView,
    TryAnswer,
    ValidateAnswer,
} from "./schema";
import { below } from "$lib/place";
import type { Spec } from "$lib/spec/spec";

const PREFIX = "/api/v1";

/** The server refused, or was not there. `errors` names every problem with its place. */
export class ApiProblem extends Error {
    readonly status: number;
    readonly errors: ErrorEntry[];
    readonly requestId: string;

    constructor(status: number, message: string, errors: ErrorEntry[] = [], requestId = "") {
        super(message);
        this.status = status;
        this.errors = errors;
        this.requestId = requestId;
    }

    get code(): string {
        return this.errors[0]?.code ?? "";
    }

    get hint(): string {
        return this.errors[0]?.hint ?? "";
    }

    /** The server is unavailable: not a refusal, and worth a retry. */
    get isAway(): boolean {
        return this.status === 0 || this.status === 502 || this.status === 503;
    }
}

type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;

export function address(path: string, query: Query = {}): string {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
        if (value === null || value === undefined || value === "") continue;
        for (const each of Array.isArray(value) ? value : [value]) parameters.append(name, String(each));
    }
    const text = parameters.toString();
    return below(`${PREFIX}${path}${text ? `?${text}` : ""}`);
}

interface Options {
    method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
    query?: Query;
    body?: unknown;
    /** The content of a file instead of a body. */
    file?: Blob;
    signal?: AbortSignal;
    keepalive?: boolean;
}

async function ask<Answer>(path: string, options: Options = {}): Promise<Answer> {
    let response: Response;
    try {
        response = await fetch(address(path, options.query), {
            method: options.method ?? "GET",
            headers: options.file
                ? { "Content-Type": "application/octet-stream" }
                : options.body === undefined
                  ? {}
                  : { "Content-Type": "application/json" },
            body: options.file ?? (options.body === undefined ? undefined : JSON.stringify(options.body)),
            signal: options.signal,
            keepalive: options.keepalive,
            credentials: "same-origin",
        });
    } catch (error) {
        if (error instanceof DOMException && error.name === "AbortError") throw error;
        throw new ApiProblem(0, "The server does not respond");
    }
    if (response.status === 204) return undefined as Answer;
    if (response.ok) return (await response.json()) as Answer;
    throw await problem(response);
}

async function problem(response: Response): Promise<ApiProblem> {
    try {
        const document = (await response.json()) as ErrorDocument;
        return new ApiProblem(response.status, document.detail, document.errors, document.request_id);
    } catch {
        // Not ours: a proxy between us and the server.
        return new ApiProblem(response.status, `The server responded with ${response.status} ${response.statusText}`);
    }
}

/** Whether the server can read its storage; it answers so also where it cannot. */
async function ready(): Promise<ReadyView> {
    const response = await fetch(below("/health/ready"), { credentials: "same-origin" });
    return (await response.json()) as ReadyView;
}

const run = (id: string): string => `/runs/${encodeURIComponent(id)}`;
const test = (id: string): string => `/tests/${encodeURIComponent(id)}`;
const fileOf = (id: string, name: string): string => `${test(id)}/files/${encodeURIComponent(name)}`;

const schedule = (id: string): string => `/schedules/${encodeURIComponent(id)}`;

export interface RunFilter {
    name?: string;
    tag?: string;
    status?: string;
    passed?: boolean;
    outcome?: string;
    measurement?: string;
    since?: string;
    until?: string;
    text?: string;
    order?: "newest" | "oldest";
    limit?: number;
    cursor?: string;
}

/** A run with its spec as it was written; while it runs its page draws the figures of the stream. */
function asWritten(view: RunView): RunView {
    const ended = view.status !== "pending" && view.status !== "running";
    const measured = ended && view.measurement !== null;
    return {
        ...view,
        spec: view.written_spec,
        metrics: measured ? view.metrics : null,
        endpoint_metrics: measured ? view.endpoint_metrics : null,
    };
}

export const api = {
    health: () => ask<HealthView>("/health"),
    session: () => ask<SessionView>("/session"),
    signIn: (key: string) => ask<SessionView>("/session", { method: "POST", body: { key } }),
    signOut: () => ask<undefined>("/session", { method: "DELETE" }),

    sessions: () => ask<SessionList>("/sessions"),
    revokeSession: (id: string) => ask<undefined>(`/sessions/${encodeURIComponent(id)}`, { method: "DELETE" }),
    audit: (query: Query, signal?: AbortSignal) => ask<AuditList>("/audit", { query, signal }),

    history: (query: { limit?: number; offset?: number; text?: string }, signal?: AbortSignal) =>
        ask<HistoryView>("/history", { query, signal }),
    runs: (filter: RunFilter, signal?: AbortSignal) => ask<RunList>("/runs", { query: { ...filter }, signal }),
    run: async (id: string) => asWritten(await ask<RunView>(run(id))),
    result: (id: string) => ask<RunResult>(`${run(id)}/result`),
    intervals: (
        id: string,
        query: { start?: number; end?: number; resolution?: string; endpoint?: string[]; merge?: boolean } = {},
        signal?: AbortSignal,
    ) => ask<IntervalsView>(`${run(id)}/intervals`, { query, signal }),
    distribution: (id: string, query: { start?: number; end?: number; endpoint?: string }, signal?: AbortSignal) =>
        ask<DistributionView>(`${run(id)}/distribution`, { query, signal }),
    /** Of a window: those that finished in its seconds. */
    samples: (id: string, window: { start?: number; end?: number } = {}) =>
        ask<SampledExchange[]>(`${run(id)}/samples`, { query: { start: window.start, end: window.end } }),
    iterations: (id: string) => ask<IterationSummary[]>(`${run(id)}/iterations`),
    iteration: (id: string, scenario: string, number: number) =>
        ask<SampledIteration>(`${run(id)}/iterations/${number}`, { query: { scenario } }),
    start: (spec: Spec, tags: string[] = [], notes = "") =>
        ask<RunAccepted>("/runs", { method: "POST", body: { spec, tags, notes } }),
    demo: () => ask<RunAccepted>("/demo", { method: "POST" }),
    rerun: (id: string, body?: { spec?: Spec; tags?: string[] }) =>
        ask<RunAccepted>(`${run(id)}/rerun`, { method: "POST", body }),
    cancel: (id: string, graceful = false) =>
        ask<RunAccepted>(`${run(id)}/cancel`, { method: "POST", query: { graceful } }),
    annotate: async (id: string, body: AnnotateRequest) =>
        asWritten(await ask<RunView>(run(id), { method: "PATCH", body })),
    deleteRun: (id: string, keepalive = false) => ask<undefined>(run(id), { method: "DELETE", keepalive }),
    compare: (a: string, b: string) => ask<CompareAnswer>("/compare", { query: { a, b } }),

    /** `test` is the stored test whose files the spec may name. */
    validate: (spec: Spec, signal?: AbortSignal, test?: string) =>
        ask<ValidateAnswer>("/specs/validate", { method: "POST", body: { spec, test: test || null }, signal }),
    tryOnce: (spec: Spec, test?: string) =>
        ask<TryAnswer>("/specs/try", { method: "POST", body: { spec, test: test || null } }),
    importCurl: (command: string) => ask<CurlAnswer>("/import/curl", { method: "POST", body: { command } }),

    tests: (recent = 0) => ask<TestList>("/tests", { query: { recent } }),
    test: (id: string) => ask<TestView>(test(id)),
    createTest: (body: { spec: Spec; description?: string; tags?: string[]; from_run?: string }) =>
        ask<SavedTestView>("/tests", { method: "POST", body }),
    replaceTest: (id: string, body: { spec: Spec; description?: string; enabled?: boolean; tags?: string[] }) =>
        ask<SavedTestView>(test(id), { method: "PUT", body }),
    deleteTest: (id: string, keepalive = false) => ask<undefined>(test(id), { method: "DELETE", keepalive }),
    enableTest: (id: string, enabled: boolean) =>
        ask<TestView>(`${test(id)}/enabled`, { method: "POST", body: { enabled } }),
    testFiles: (id: string) => ask<TestFileList>(`${test(id)}/files`),
    uploadTestFile: (id: string, file: File) => ask<TestFileView>(fileOf(id, file.name), { method: "PUT", file }),
    previewTestFile: (id: string, name: string, query: Query) =>
        ask<TestFilePreview>(`${fileOf(id, name)}/preview`, { query }),
    deleteTestFile: (id: string, name: string, keepalive = false) =>
        ask<undefined>(fileOf(id, name), { method: "DELETE", keepalive }),
    testFileAddress: (id: string, name: string) => address(fileOf(id, name)),
    runTest: (id: string) => ask<RunAccepted>(`${test(id)}/run`, { method: "POST" }),
    runAllTests: () => ask<StartedRuns>("/tests/run-all", { method: "POST" }),
    batches: (limit: number) => ask<BatchList>("/batches", { query: { limit } }),
    batch: (id: string) => ask<BatchDetail>(`/batches/${encodeURIComponent(id)}`),
    cancelBatch: (id: string, graceful: boolean) =>
        ask<BatchCancelled>(`/batches/${encodeURIComponent(id)}/cancel`, { method: "POST", query: { graceful } }),
    syncTests: () => ask<SyncAnswer>("/tests/sync", { method: "POST" }),

    storage: (days = 30) => ask<StorageOverview>("/storage/overview", { query: { days } }),
    schedules: () => ask<ScheduleList>("/schedules"),
    schedule: (id: string) => ask<ScheduleView>(schedule(id)),
    createSchedule: (body: ScheduleRequest) => ask<ScheduleView>("/schedules", { method: "POST", body }),
    replaceSchedule: (id: string, body: ScheduleRequest) => ask<ScheduleView>(schedule(id), { method: "PUT", body }),
    deleteSchedule: (id: string, keepalive = false) => ask<undefined>(schedule(id), { method: "DELETE", keepalive }),
    pauseSchedule: (id: string) => ask<ScheduleView>(`${schedule(id)}/pause`, { method: "POST" }),
    resumeSchedule: (id: string) => ask<ScheduleView>(`${schedule(id)}/resume`, { method: "POST" }),
    previewSchedule: (trigger: ScheduleRequest["trigger"], signal?: AbortSignal) =>
        ask<PreviewAnswer>("/schedules/preview", { method: "POST", body: { trigger }, signal }),
    firings: (id: string, query: { limit?: number; before?: string | null }) =>
        ask<FiringList>(`${schedule(id)}/firings`, { query }),
    server: () => ask<ServerView>("/server"),
    ready: () => ready(),
};

/** What went wrong, as a sentence for people. */
export function sentence(error: unknown): string {
    return error instanceof Error ? error.message : String(error);
}
