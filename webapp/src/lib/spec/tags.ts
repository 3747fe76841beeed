/** The tags in the user's text, each once. */
export function tagsOf(text: string): string[] {
    return [
        ...new Set(
            text
                .split(",")
                .map((tag) => tag.trim())
                .filter(Boolean),
        ),
    ];
}
