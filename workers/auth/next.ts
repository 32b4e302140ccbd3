// Where a sign-in may lead: back to what it was asked for, and never off this host or into another seat.

/** Only a path on this host, inside what the sign-in opened. */
export function safeNext(next: string | undefined, prefixes: string[]): string | null {
  if (next === undefined || !/^\/[^/\\]/.test(next) || /[\u0000-\u001f\\]/.test(next)) return null;
  const base = "https://this.invalid";
  if (!URL.canParse(next, base)) return null;
  const url = new URL(next, base);
  return url.origin === base && prefixes.some((prefix) => url.pathname.startsWith(prefix)) ? `${url.pathname}${url.search}` : null;
}
