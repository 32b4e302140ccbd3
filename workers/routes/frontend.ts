// The official frontend's files, unmodified, out of the assets binding. Hashed files may be kept for a year, everything else is asked for each time.
// Invariant: a path is looked up below the pinned version's folder or not at all.

/** Bundler names like `index-B2rHQ9Sn.js`: eight characters, among them a digit or a capital (which tells a hash from a word). */
const HASHED = /^\/assets\/[^/]*-(?=[A-Za-z0-9_-]{8}\.)(?=[a-z_-]*[A-Z0-9])[A-Za-z0-9_-]{8}\.[A-Za-z0-9.]+$/;

/** `path` raw, from the seat's root, starting with a slash. Documents get the headers of a page; what is not there is an empty 404. */
export async function serveFrontend(request: Request, env: Env, path: string): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") return new Response("405: Method Not Allowed", { status: 405, headers: { allow: "GET, HEAD", "content-type": "text/plain; charset=utf-8" } });
  if (path === "/user.css") return new Response("", { headers: { "content-type": "text/css; charset=utf-8", "cache-control": "no-cache" } });
  if (/%2f|%5c|%00|\\/i.test(path)) return missing();
  const document = path === "/" || path === "/index.html";
  const url = new URL(`/${env.FRONTEND}${document ? "/index.html" : path}`, request.url);
  const found = await env.ASSETS.fetch(new Request(url, { method: request.method, headers: conditions(request.headers) }));
  if (found.status !== 200 && found.status !== 304) {
    await found.body?.cancel();
    return document ? notBuilt(env.FRONTEND) : missing();
  }
  const headers = new Headers(found.headers);
  headers.set("cache-control", HASHED.test(path) ? "private, max-age=31536000, immutable" : "private, no-cache");
  headers.set("x-content-type-options", "nosniff");
  headers.set("referrer-policy", "same-origin");
  if (document) headers.set("x-frame-options", "SAMEORIGIN");
  return new Response(found.body, { status: found.status, headers });
}

/** Nothing of the caller but its validators goes to the assets: no cookie, no password. */
function conditions(headers: Headers): Headers {
  const kept = new Headers();
  for (const name of ["if-none-match", "if-modified-since", "accept", "accept-encoding"]) {
    const value = headers.get(name);
    if (value !== null) kept.set(name, value);
  }
  return kept;
}

function missing(): Response {
  return new Response(null, { status: 404, headers: { "content-type": "application/octet-stream" } });
}

function notBuilt(version: string): Response {
  return new Response(`The ComfyUI frontend ${version} is not part of this deployment. Run \`npm start\` once (it fetches it), then deploy again.\n`, { status: 503, headers: { "content-type": "text/plain; charset=utf-8" } });
}
