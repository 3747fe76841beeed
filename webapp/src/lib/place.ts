// Where the pages and the API are. A server may be at home below a path of a proxy (ATM_ROOT_PATH): it writes that path
// into the page, and every address of ours begins with it.
import { base } from "$app/paths";

/** An address of this dashboard or its API as the browser has to ask for it: `/runs` is `/atm/runs` below `/atm`. */
export const below = (path: string): string => `${base}${path}`;

/** Where to sign in, and how to come back from there to the page at `url`. */
export const signIn = (url: URL): string => below(`/settings?to=${encodeURIComponent(url.pathname + url.search)}`);
