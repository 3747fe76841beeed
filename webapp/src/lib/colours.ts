// Every colour of the design: for canvases, which know no CSS variables, and for the test that judges them.

export type Theme = "dark" | "light";

export interface Palette {
    canvas: string;
    card: string;
    border: string;
    control: string;
    text: string;
    muted: string;
    pass: string;
    fail: string;
    warn: string;
    info: string;
    percentiles: { p50: string; p90: string; p95: string; p99: string; p999: string };
    /** 2xx, 3xx, 4xx, 5xx, no answer. */
    statuses: readonly string[];
    endpoints: readonly string[];
    /** What has no colour of its own. */
    rest: string;
}

export const PALETTES: Record<Theme, Palette> = {
    dark: {
        canvas: "#0D0F13",
        card: "#15181E",
        border: "#2A2F39",
        control: "#6B7484",
        text: "#E9ECF1",
        muted: "#9BA4B3",
        pass: "#56CDB0",
        fail: "#FF7A8A",
        warn: "#EDB836",
        info: "#7FAEF7",
        percentiles: { p50: "#4878D6", p90: "#8A90B8", p95: "#C084F5", p99: "#FFA3CE", p999: "#FFE3B3" },
        statuses: ["#45D6B8", "#5B96FA", "#F0A92A", "#DE4322", "#9A66A8"],
        endpoints: ["#5784F1", "#EDA86E", "#A6F7EB", "#B77B92", "#F6EA4D", "#7F55A8", "#6CC4F5", "#C2401E"],
        rest: "#6B7484",
    },
    light: {
        canvas: "#F4F5F8",
        card: "#FFFFFF",
        border: "#D9DDE4",
        control: "#7D8695",
        text: "#151922",
        muted: "#586170",
        pass: "#0C6B58",
        fail: "#8E0F2F",
        warn: "#855A00",
        info: "#1D55B5",
        percentiles: { p50: "#3A8EF2", p90: "#676C96", p95: "#7C34AC", p99: "#920B55", p999: "#4F0A05" },
        statuses: ["#2F987B", "#1B4A9C", "#9A6A0A", "#9E2206", "#B065E0"],
        endpoints: ["#0B2A9A", "#A1592E", "#4F9F95", "#5E1250", "#968C00", "#8455C6", "#105E77", "#8A1F12"],
        rest: "#7D8695",
    },
};

/** The colour of the n-th endpoint of a spec (0-based): the same in charts, tables and chips. From the 9th on they repeat. */
export function endpointColour(palette: Palette, index: number): string {
    return palette.endpoints[index % palette.endpoints.length] ?? palette.rest;
}

const DASHES = [[], [7, 3], [2, 2], [9, 3, 2, 3]] as const;

/** How its line is dashed, which tells endpoints of one colour apart: 8 colours in 4 ways are 32 endpoints. */
export function endpointDash(index: number): number[] {
    return [...(DASHES[Math.floor(index / PALETTES.dark.endpoints.length) % DASHES.length] ?? [])];
}

/** A colour with this opacity, 0..1. */
export function translucent(hex: string, opacity: number): string {
    const [r, g, b] = channels(hex);
    return `rgb(${r} ${g} ${b} / ${opacity})`;
}

export function channels(hex: string): [number, number, number] {
    return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)) as [number, number, number];
}
