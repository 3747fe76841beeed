// What the fields of a form know about the place in which they stand.
import { createContext } from "svelte";

/** What `{{…}}` can name at this place of the form. */
export const [usableHere, provideUsable, hasUsable] = createContext<() => readonly string[]>();
