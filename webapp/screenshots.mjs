// Pictures of every page for the docs, of a server that has something to show: `atm serve`, a few runs, then
// `npm run --prefix webapp screenshots -- http://127.0.0.1:8000`. Writes docs/images/dashboard/.
import { existsSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const server = process.argv[2] ?? "http://127.0.0.1:8000";
const folder = fileURLToPath(new URL("../docs/images/dashboard/", import.meta.url));
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

const { runs } = await (await fetch(`${server}/api/v1/runs?status=completed&limit=50`)).json();
const last = runs[0];
if (!last) throw new Error(`${server} has no run to show`);
const details = await Promise.all(runs.map(async ({ id }) => (await fetch(`${server}/api/v1/runs/${id}`)).json()));
/** The run of a journey, which has a funnel of its steps; the others need none. */
const journey = details.find((run) => run.spec.scenarios);
const before = runs.find((run) => run.id !== last.id && run.name === last.name) ?? last;
const pages = {
    runs: "/",
    run: `/runs/${last.id}`,
    new: "/new?demo=1",
    edit: `/edit/${last.id}`,
    tests: "/tests",
    schedules: "/schedules",
    compare: `/compare?a=${before.id}&b=${last.id}`,
    storage: "/storage",
    settings: "/settings",
};

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
async function picture(name, path, options, part) {
    const context = await browser.newContext({
        viewport: { width: 1280, height: 860 },
        reducedMotion: "reduce",
        ...options,
    });
    const page = await context.newPage();
    await page.goto(server + path);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.waitForFunction(() => !document.querySelector(".skeleton"));
    if (part) {
        const region = page.getByRole("region", { name: new RegExp(`^${part}`) }).first();
        await region.evaluate((each) => each.scrollIntoView());
    }
    // Charts draw at most four times a second.
    await page.waitForTimeout(1000);
    await page.screenshot({ path: `${folder}${name}.jpg`, type: "jpeg", quality: 72 });
    await context.close();
}
for (const [name, path] of Object.entries(pages)) await picture(name, path, { colorScheme: "dark" });
await picture("run-endpoints", pages.run, { colorScheme: "dark" }, "Endpoints over time");
if (journey) {
    const [scenario] = Object.keys(journey.spec.scenarios).slice(-1);
    await picture("run-journey", `/runs/${journey.id}`, { colorScheme: "dark" }, scenario);
}
await picture("run-light", pages.run, { colorScheme: "light" });
await picture("run-phone", pages.run, { colorScheme: "dark", viewport: { width: 390, height: 844 } });
await browser.close();
