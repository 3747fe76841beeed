declare global {
    namespace App {}
    /** A threshold for each metric: from the spec's JSON Schema, when the dashboard is built. */
    const THRESHOLD_EXAMPLES: readonly string[];
}

export {};
