// The files of its test that a run used. Pure.
import type { RunResult, RunView } from "$lib/api/schema";
import { count, shown } from "$lib/format";
import { sourcesOf } from "$lib/spec/data";

export interface UsedFile {
    name: string;
    /** SHA-256. */
    digest: string;
    /** Of test data: how many rows it has, and for which source. */
    note: string;
}

export function usedFiles(run: Pick<RunView, "files" | "spec">, result: Pick<RunResult, "data"> | null): UsedFile[] {
    const sources = sourcesOf(run.spec);
    return Object.entries(run.files).map(([name, digest]) => {
        const notes = sources
            .filter(([, source]) => source.file === name)
            .map(([source]) => {
                const rows = result?.data?.find((each) => each.name === source)?.rows;
                return rows === undefined
                    ? `of ${source}`
                    : `${shown(count(rows))} ${rows === 1 ? "row" : "rows"} of ${source}`;
            });
        return { name, digest, note: notes.join(", ") };
    });
}
