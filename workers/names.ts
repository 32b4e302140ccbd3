// Which words may name a workshop or a seat, and how a raw path falls into them. Raw: nothing is decoded, so `%2F` stays data of the rest.

const WORKSHOP = /^[a-z][a-z0-9-]{0,39}$/;
const SEAT = /^[a-z][a-z0-9_-]{0,39}$/;

/** No dots at the head of a segment, no escapes, nothing the URL standard rewrites. */
const PLAIN = /^https?:\/\/[^/?#\\]+((?:\/[\w-][\w.-]*)+\/?)(?:[?#]|$)/;

/** First segments with a meaning of their own, today or by habit of browsers and crawlers. */
const RESERVED_WORKSHOPS = new Set(["admin", "api", "app", "apps", "assets", "auth", "cdn-cgi", "dashboard", "docs", "extensions", "favicon", "files", "health", "help", "internal", "join", "login", "logout", "metrics", "new", "ops", "robots", "runner", "scripts", "static", "status", "templates", "user", "users", "view", "well-known", "ws"]);
/** Second segments that are pages of a workshop. */
const RESERVED_SEATS = new Set(["admin", "api", "assets", "dashboard", "gallery", "health", "help", "join", "login", "logout", "settings", "static", "ws"]);

/** The seat of whoever leads the workshop; it exists in every workshop. */
export const INSTRUCTOR = "instructor";

export function isWorkshopName(text: string): boolean {
  return WORKSHOP.test(text) && !RESERVED_WORKSHOPS.has(text);
}

export function isSeatName(text: string): boolean {
  return SEAT.test(text) && !RESERVED_SEATS.has(text);
}

/** The path of a request with its escapes: the URL standard resolves `.` and `..` (also as `%2e`) and leaves `%2F` alone. */
export function rawPath(url: string): string {
  // The plain address, which the standard would leave as it is, spares its parser: it is the same for every request of a seat's API.
  const path = PLAIN.exec(url)?.[1];
  return path ?? new URL(url).pathname;
}

/** `/{first}/{second}{rest}`; absent parts are empty, `rest` starts with a slash when there is one. */
export function splitPath(path: string): { first: string; second: string; rest: string } {
  const [, first = "", second = "", ...rest] = path.split("/");
  return { first, second, rest: rest.length === 0 ? "" : `/${rest.join("/")}` };
}
