// A press is never lost: whatever the validation inserts or removes while the button is down, the click lands on it.
import type { Locator, Page, Request } from "playwright-core";
import { describe, expect, it } from "vitest";

import { PROVING } from "./chromium";
import { until } from "./server";
import { api, at, target } from "./shared";

/** From here on a click is noted, and does nothing: so that the next button finds the page as it was. */
async function noteClicks(page: Page): Promise<void> {
    await page.evaluate(() => {
        const noted = window as unknown as { clicked: Element | null };
        noted.clicked = null;
        addEventListener(
            "click",
            (event) => {
                noted.clicked = event.target as Element;
                event.preventDefault();
                event.stopImmediatePropagation();
            },
            { capture: true },
        );
    });
}

interface State {
    name: string;
    /** Leaves the page as it is just before the press, with the cursor in a field. */
    before: (page: Page) => Promise<void>;
    /** Resolves when what the press sets off has come. */
    after: (page: Page) => Promise<unknown>;
}

/** Keeps the server's answers to one question back until the pointer is down, however slow or fast everything else is. */
class Gate {
    #open: () => void = () => undefined;
    #wait: Promise<void> = Promise.resolve();
    #started = 0;
    #done = 0;

    static async at(page: Page, path: string): Promise<Gate> {
        const gate = new Gate();
        await page.route(`**${path}`, async (route) => {
            gate.#started += 1;
            await gate.#wait;
            await route.continue().catch(() => undefined); // a later question has taken its place
        });
        const count = (request: Request): void => {
            if (request.url().endsWith(path)) gate.#done += 1;
        };
        page.on("requestfinished", count);
        page.on("requestfailed", count);
        return gate;
    }

    close = (): void => {
        this.#started = this.#done = 0;
        this.#wait = new Promise((open) => (this.#open = open));
    };

    /** Lets them through, and waits until the last one has come. */
    answered = async (): Promise<void> => {
        this.#open();
        await until("an answer", () => Promise.resolve(this.#started > 0 && this.#done >= this.#started));
    };
}

const drawn = (page: Page): Promise<unknown> =>
    page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

async function buttons(page: Page, within: string): Promise<Locator[]> {
    const all = await page.locator(`${within} :is(button, summary, [role=tab]):visible:not(:disabled)`).all();
    return all.length ? all : Promise.reject(new Error(`no button in ${within}`));
}

/** What looks alike in like surroundings is one part of the code, repeated. */
const kindOf = (button: Locator): Promise<string> =>
    button.evaluate((each) =>
        [each, each.parentElement, each.parentElement?.parentElement]
            .map((part) => `${part?.tagName} ${part?.getAttribute("class") ?? ""}`)
            .join(" < "),
    );

/** Presses the buttons of it slowly; gives back those that were not clicked. `make prove` presses each in each state,
 *  `make test` one of each kind in one of the states, by turns. */
async function lost(page: Page, within: string, states: State[]): Promise<string[]> {
    await noteClicks(page);
    const found: string[] = [];
    const all = await buttons(page, within);
    const kinds = await Promise.all(all.map(kindOf));
    const chosen = PROVING ? all : all.filter((_, at) => kinds.indexOf(kinds[at] ?? "") === at);
    for (const [at, button] of chosen.entries()) {
        for (const state of PROVING ? states : states.slice(at % states.length).slice(0, 1)) {
            await button.scrollIntoViewIfNeeded();
            await state.before(page);
            const handle = await button.elementHandle();
            const name = await button.evaluate((each) => each.getAttribute("aria-label") ?? each.textContent.trim());
            const box = await button.boundingBox();
            if (!handle || !box) {
                found.push(`${name} (${state.name}): not there`);
                continue;
            }
            await page.evaluate(() => ((window as unknown as { clicked: null }).clicked = null));
            await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
            await page.mouse.down();
            await state.after(page);
            await drawn(page);
            await page.mouse.up();
            const hit = await handle.evaluate((each) => {
                const { clicked } = window as unknown as { clicked: Element | null };
                return clicked !== null && each.contains(clicked);
            });
            if (!hit) found.push(`${name} (${state.name})`);
        }
    }
    return found;
}

async function unfold(page: Page): Promise<void> {
    await page.evaluate(() => {
        for (const fold of document.querySelectorAll("details")) fold.open = true;
    });
}

/** Types into a field without scrolling to it. */
async function type(page: Page, path: string, text: string): Promise<void> {
    await page.evaluate(
        ({ path, text }) => {
            const field = document.querySelector<HTMLInputElement>(`[data-path="${path}"]`);
            field?.focus({ preventScroll: true });
            field?.setSelectionRange(0, field.value.length);
            if (!text) document.execCommand("delete");
            else document.execCommand("insertText", false, text);
        },
        { path, text },
    );
}

/** A field is left with a mistake in it, and left again mended: both while a button is down. */
async function mistakes(page: Page, path: string, wrong: string, right: string): Promise<State[]> {
    const gate = await Gate.at(page, "/specs/validate");
    const state = (name: string, text: string): State => ({
        name,
        before: (page) => {
            gate.close();
            return type(page, path, text);
        },
        after: gate.answered,
    });
    return [state("a mistake shows", wrong), state("a mistake goes", right)];
}

describe("a slow press is a click", () => {
    it("on every button of a new test of one URL", async () => {
        const page = await at("/new");
        await type(page, "url", `${target}/users`);
        await page.getByText("Ready to run").waitFor();
        await unfold(page);
        await page.getByRole("button", { name: "Add header" }).click();
        await page.getByRole("button", { name: "p99 < 300ms" }).click();
        expect(await lost(page, "main", await mistakes(page, "url", "nope", `${target}/users`))).toEqual([]);
        // The message was there, and only waited.
        await type(page, "url", "nope");
        await page.locator("[data-path=url]").blur();
        await page.locator("[id$=-error]", { hasText: "has no scheme" }).waitFor();
    });

    it("on every button of a new test of several endpoints, with stages", async () => {
        const page = await at("/new");
        await page.getByRole("button", { name: "Several endpoints" }).click();
        await type(page, "endpoints[0].url", `${target}/users`);
        await page.getByRole("button", { name: "Add endpoint" }).click();
        await page.getByRole("button", { name: "Stages", exact: true }).click();
        await page.getByText("Ready to run").waitFor();
        const states = await mistakes(page, "endpoints[0].url", "nope", `${target}/users`);
        expect(await lost(page, "main", states)).toEqual([]);
    });

    it("on every button of a test that is edited as text", async () => {
        const { id } = await api<{ id: string }>("/tests", {
            spec: { name: "pressed", url: `${target}/users`, duration: "1s" },
        });
        const page = await at(`/edit/${id}?test`);
        await page.getByRole("tab", { name: "YAML" }).click();
        await page.getByText("Ready to run").waitFor();
        const states = await mistakes(page, "timeout", "soon", "3s");
        await unfold(page);
        expect(await lost(page, "main", states)).toEqual([]);
    });

    it("on every button of the form of a schedule", async () => {
        await api("/tests", { spec: { name: "pressed at night", url: `${target}/users`, duration: "1s" } });
        const page = await at("/schedules?new=pressed%20at%20night", { expectTrouble: true });
        const dialog = page.getByRole("dialog");
        await dialog.getByRole("list", { name: /next/i }).waitFor();
        const cron = dialog.getByLabel("Cron expression");
        const write = async (text: string): Promise<void> => {
            await cron.evaluate((field: HTMLInputElement, text) => {
                field.focus({ preventScroll: true });
                field.select();
                document.execCommand("insertText", false, text);
            }, text);
        };
        const gate = await Gate.at(page, "/schedules/preview");
        const state = (name: string, text: string): State => ({
            name,
            before: () => {
                gate.close();
                return write(text);
            },
            after: gate.answered,
        });
        const states = [state("a mistake shows", "61 * * * *"), state("a mistake goes", "30 2 * * *")];
        expect(await lost(page, "dialog[open]", states)).toEqual([]);
    });

    it("on a row of the list of runs above which another run appears", async () => {
        const page = await at("/?since=2020-01-01");
        const row = page.getByRole("list", { name: "Runs" }).getByRole("link").first();
        const id = await row.evaluate((each) => each.closest("[data-run]")?.getAttribute("data-run") ?? "");
        const today = page.locator("dl", { hasText: "today" }).locator("dd").first();
        await today.filter({ hasText: /\d/ }).waitFor();
        const before = await today.innerText();
        await row.hover();
        await page.mouse.down();
        await api("/runs", { spec: { name: "comes above", url: `${target}/users`, total_requests: 1 } });
        await until("the run in the count", async () => (await today.innerText()) !== before);
        await drawn(page);
        await page.mouse.up();
        await page.waitForURL(new RegExp(`/runs/${id}`));
    });
});
