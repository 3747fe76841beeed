// The body of a request in each way that a spec can write it. Pure. What the form does not know stays as it is written.
import { bodyKind, bodyText, readJson, textOf } from "./fields";
import { isObject, omit } from "./paths";
import type { Step } from "./steps";

export type RequestBodyKind = "none" | "json" | "text" | "form" | "multipart" | "graphql" | "file";

/** The fields that are a body; a request has at most one of them. */
export const BODY_FIELDS = ["body", "json", "form", "multipart", "graphql", "file"] as const;

export const BODY_LABELS: Record<RequestBodyKind, string> = {
    none: "None",
    json: "JSON",
    text: "Text",
    form: "Form fields",
    multipart: "Multipart, with files",
    graphql: "GraphQL",
    file: "File",
};

export function requestBodyKind(request: Step): RequestBodyKind {
    const field = BODY_FIELDS.find((name) => request[name] !== undefined && request[name] !== null);
    if (field === undefined) return "none";
    return field === "body" ? bodyKind(request.body) : field;
}

/** The request with a body of another kind; what the kinds have in common stays. */
export function withBodyKind(request: Step, kind: RequestBodyKind): Step {
    const before = requestBodyKind(request);
    if (before === kind) return request;
    const rest = omit(request, ...BODY_FIELDS);
    switch (kind) {
        case "none":
            return rest;
        case "text":
            return { ...rest, body: before === "json" ? bodyText(request.json ?? request.body) : "" };
        case "json": {
            const { value, mistake } = readJson(textOf(request.body));
            return { ...rest, body: before === "text" && !mistake && isObject(value) ? value : {} };
        }
        case "form":
            return { ...rest, form: before === "multipart" ? textsOf(request.multipart) : {} };
        case "multipart":
            return { ...rest, multipart: before === "form" && isObject(request.form) ? { ...request.form } : {} };
        case "graphql":
            return { ...rest, graphql: { query: "" } };
        case "file":
            return { ...rest, file: "" };
    }
}

function textsOf(parts: unknown): Record<string, unknown> {
    return Object.fromEntries(partsOf(parts).flatMap((part) => (part.isFile ? [] : [[part.name, part.value]])));
}

// Multipart

export interface Part {
    name: string;
    isFile: boolean;
    /** The text, or the name of the file. */
    value: string;
    type: string;
    filename: string;
}

export function partsOf(held: unknown): Part[] {
    return Object.entries(isObject(held) ? held : {}).map(([name, part]) => {
        if (!isObject(part)) return { name, isFile: false, value: textOf(part), type: "", filename: "" };
        const isFile = part.file !== undefined && part.file !== null;
        return {
            name,
            isFile,
            value: textOf(isFile ? part.file : part.value),
            type: textOf(part.type),
            filename: textOf(part.filename),
        };
    });
}

/** The parts as a spec writes them, as short as they can be; one without a name is not written. */
export function partsObject(parts: readonly Part[]): Record<string, unknown> {
    const entries = parts
        .filter((part) => part.name.trim())
        .map((part): [string, unknown] => {
            const more = {
                ...(part.filename ? { filename: part.filename } : {}),
                ...(part.type ? { type: part.type } : {}),
            };
            if (part.isFile) return [part.name.trim(), { file: part.value, ...more }];
            return [part.name.trim(), Object.keys(more).length ? { value: part.value, ...more } : part.value];
        });
    return Object.fromEntries(entries);
}

// GraphQL

/** A GraphQL request written as a text is its query. */
export function graphqlOf(held: unknown): Step {
    return isObject(held) ? held : { query: textOf(held) };
}
