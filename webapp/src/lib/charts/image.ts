// A chart card as a picture: what is seen of it, without its buttons.
import { saveBlob } from "$lib/run/files";

/** Twice as fine as the screen: for slides and documents. */
const SCALE = 2;

/** Saves the card as a PNG file. Raises an error where the browser cannot draw it. */
export async function savePng(card: HTMLElement, name: string): Promise<void> {
    // Read only when it is needed: it is no part of the first page.
    const { toBlob } = await import("html-to-image");
    const blob = await toBlob(card, {
        pixelRatio: SCALE,
        skipFonts: true,
        filter: (node) => !(node instanceof HTMLElement && node.matches("[data-no-image]")),
    });
    if (!blob) throw new Error("the browser could not draw the chart");
    saveBlob(`${name}.png`, blob);
}

/** A title as the name of a file. */
export const fileName = (title: string): string => title.trim().replace(/[^\p{L}\p{N}.-]+/gu, "-");
