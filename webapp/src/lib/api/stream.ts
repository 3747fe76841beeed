// Server-sent events that come back by themselves: the browser retries, and where it gives up (an answer that is no
// stream: the server restarts, the key has expired) we do, ever more slowly.

export type StreamState = "connecting" | "live" | "lost";

export interface StreamOptions {
    url: () => string;
    events: readonly string[];
    onEvent: (name: string, data: string, id: string) => void;
    onState?: (state: StreamState) => void;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

/** Opens a stream; the function that it gives back closes it. */
export function openStream(options: StreamOptions): () => void {
    let source: EventSource | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let wait = FIRST_WAIT_MS;
    let closed = false;
    let state: StreamState = "connecting";

    function tell(next: StreamState): void {
        if (closed || next === state) return;
        state = next;
        options.onState?.(next);
    }

    function connect(): void {
        if (closed) return;
        source = new EventSource(options.url());
        source.onopen = () => {
            wait = FIRST_WAIT_MS;
            tell("live");
        };
        source.onerror = () => {
            tell("lost");
            // After an error the browser may send Last-Event-ID itself; a new stream asks by its own address instead.
            source?.close();
            clearTimeout(timer);
            timer = setTimeout(connect, wait);
            wait = Math.min(wait * 2, LONGEST_WAIT_MS);
        };
        for (const name of options.events) {
            source.addEventListener(name, (event: MessageEvent<string>) => {
                if (!closed) options.onEvent(name, event.data, event.lastEventId);
            });
        }
    }

    connect();
    return () => {
        closed = true;
        clearTimeout(timer);
        source?.close();
    };
}
