// Cross-site requests [CF27]: browsers say where a request comes from, other clients do not. A page of another site can make a browser send our
// cookies along with a form or a socket; it cannot make it lie about `Origin`. So what carries a foreign origin may read nothing and change nothing.

/** True when the request changes something or opens a socket, and a browser says another site is behind it. */
export function crossSite(request: Request): boolean {
  if (!changes(request)) return false;
  const origin = request.headers.get("origin");
  if (origin !== null) return hostOf(origin) !== (request.headers.get("host") ?? new URL(request.url).host);
  // Every current browser sends this header; without `Origin` it is the only witness.
  const site = request.headers.get("sec-fetch-site");
  return site === "cross-site" || site === "same-site";
}

function changes(request: Request): boolean {
  const safe = request.method === "GET" || request.method === "HEAD" || request.method === "OPTIONS";
  return !safe || request.headers.has("upgrade");
}

/** Null for the opaque origin (`null`) and for anything that is no address. */
function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}
