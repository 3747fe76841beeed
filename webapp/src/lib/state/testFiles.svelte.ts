// The data files of a saved test, as its form shows them.
import { SvelteMap } from "svelte/reactivity";

import { api, ApiProblem, sentence } from "$lib/api/client";
import type { TestFileList, TestFilePreview, TestFileView } from "$lib/api/schema";
import { layoutOf, type Source } from "$lib/spec/data";
import { textOf } from "$lib/spec/fields";

const SHOWN_ROWS = 5;

export class TestFiles {
    /** The id of the test; empty for a spec that is not saved as a test, which has no files. */
    test = $state("");
    /** Save the spec as a test, after which files can be uploaded. */
    saveFirst = $state.raw<(() => void) | null>(null);
    #answer = $state.raw<TestFileList | null>(null);
    /** Names of files that are being uploaded. */
    uploading = $state.raw<readonly string[]>([]);
    /** Why the last upload of a file failed. */
    problems = new SvelteMap<string, string>();
    #previews = new SvelteMap<string, TestFilePreview | string>();

    get list(): readonly TestFileView[] {
        return this.#answer?.files ?? [];
    }

    get most(): number {
        return this.#answer?.most_file_bytes ?? 0;
    }

    find(name: string): TestFileView | undefined {
        return this.list.find((file) => file.name === name);
    }

    /** Where a browser downloads a file. */
    address(name: string): string {
        return api.testFileAddress(this.test, name);
    }

    async load(test: string): Promise<void> {
        this.test = test;
        this.#answer = await api.testFiles(test);
    }

    /** Whether it was uploaded; if not, `problems` says why. */
    async upload(file: File): Promise<boolean> {
        this.problems.delete(file.name);
        if (this.most && file.size > this.most) {
            this.problems.set(
                file.name,
                `${file.name} is larger than ${this.most.toLocaleString("en")} bytes, the limit of this server`,
            );
            return false;
        }
        this.uploading = [...this.uploading, file.name];
        try {
            await api.uploadTestFile(this.test, file);
            await this.load(this.test);
            return true;
        } catch (error) {
            this.problems.set(file.name, `${file.name} was not uploaded: ${sentence(error)}`);
            return false;
        } finally {
            this.uploading = this.uploading.filter((name) => name !== file.name);
        }
    }

    /** `leaving`: the page is about to close, so nothing is shown any more. */
    async remove(name: string, leaving: boolean): Promise<void> {
        await api.deleteTestFile(this.test, name, leaving);
        if (!leaving) await this.load(this.test);
    }

    /** What is known of the rows of a source; undefined while nothing is. A text says why they are not shown. */
    preview(source: Source): TestFilePreview | string | undefined {
        return this.#previews.get(this.#key(source));
    }

    /** Asks for the rows of a source, once for each content and way to read it. */
    async ask(source: Source): Promise<void> {
        const name = textOf(source.file);
        const key = this.#key(source);
        if (!this.find(name) || this.#previews.has(key)) return;
        try {
            const query = { ...layoutOf(source).query, rows: SHOWN_ROWS };
            this.#previews.set(key, await api.previewTestFile(this.test, name, query));
        } catch (error) {
            if (!(error instanceof ApiProblem)) throw error;
            this.#previews.set(key, sentence(error));
        }
    }

    #key(source: Source): string {
        return `${this.find(textOf(source.file))?.sha256 ?? ""} ${layoutOf(source).key}`;
    }
}
