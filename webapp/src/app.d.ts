declare global {
    // eslint-disable-next-line @typescript-eslint/no-namespace -- SvelteKit looks for its types here
    namespace App {}
}

export {};
