/** Seconds per point of a table with a row per endpoint: at most 150 points in a row, and few enough for one answer. */
export function rowResolution(length: number, names: number): string {
    return (
        ["1", "10", "60", "600"].find(
            (each) => length / Number(each) <= 150 && (length / Number(each)) * names < 15_000,
        ) ?? "3600"
    );
}
