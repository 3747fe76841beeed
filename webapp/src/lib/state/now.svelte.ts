/** The time of day, updated every 5 s: ages in words change with it. */
class Now {
    value = $state(new Date());

    constructor() {
        setInterval(() => (this.value = new Date()), 5000);
    }
}

export const now = new Now();
