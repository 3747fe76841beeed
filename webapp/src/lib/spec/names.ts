// Names that have to differ from each other. Pure.

export function freeName(name: string, taken: readonly string[]): string {
    if (!taken.includes(name)) return name;
    for (let number = 2; ; number += 1) if (!taken.includes(`${name} ${number}`)) return `${name} ${number}`;
}
