// One page for every address: the server hands it out, the browser does the rest.
export const ssr = false;
export const prerender = false;
