// What the fields of a form know about the place in which they stand.
import { createContext } from "svelte";

import type { TestFiles } from "$lib/state/testFiles.svelte";

/** What `{{…}}` can name at this place of the form. */
export const [usableHere, provideUsable, hasUsable] = createContext<() => readonly string[]>();

/** The files of the test that is edited. */
export const [filesHere, provideFiles] = createContext<TestFiles>();
