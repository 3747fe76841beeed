// GraphiQL is written in React: the only place of the dashboard that needs it, and loaded with this page only.
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createClient } from "graphql-ws";
import { createElement } from "react";
import { createRoot } from "react-dom/client";

import "graphiql/graphiql.css";

const FIRST = `# The newest runs. Ctrl-Space completes, Ctrl-Enter sends.
# The book at the left has the documentation.
{
  runs(first: 5) {
    totalCount
    edges {
      node {
        id
        name
        outcome
        requestsPerSecond
      }
    }
  }
}
`;

/** Show GraphiQL in `place`, and return how to take it away. `refused` is called when the server wants a key. */
export function showGraphiql(
    place: HTMLElement,
    url: string,
    theme: "dark" | "light",
    refused: () => void,
): () => void {
    const client = createClient({ url: url.replace(/^http/, "ws") });
    const fetcher = createGraphiQLFetcher({
        url,
        wsClient: client,
        fetch: async (input, init) => {
            const answer = await fetch(input, init);
            if (answer.status === 401) refused();
            return answer;
        },
    });
    const root = createRoot(place);
    root.render(createElement(GraphiQL, { fetcher, defaultQuery: FIRST, forcedTheme: theme }));
    return () => {
        root.unmount();
        void client.dispose();
    };
}
