// What a user-data path means, decided without I/O. Invariant: a path that leaves the seat's root is refused before a key is made of it.

/**
 * A path as ComfyUI joins it to the user's root: `.` and empty parts go, `..` goes up, a leading slash leaves the root.
 * Null when it ends outside; "" is the root itself.
 */
export function normalisePath(path: string): string | null {
  if (path.startsWith("/") || path.includes("\0")) return null;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return null;
  }
  return parts.join("/");
}

/** A name that still has a `%` after routing is decoded once more: `%252F` is a slash too [R http-userdata]. */
export function decodeName(raw: string): string {
  const name = decode(raw);
  return name.includes("%") ? decode(name) : name;
}

/** Percent-decoding as Python's `unquote` does it: what is no escape stays, bytes that are no UTF-8 become U+FFFD. */
function decode(text: string): string {
  return text.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (run) => new TextDecoder().decode(Uint8Array.from(run.slice(1).split("%"), (hex) => Number.parseInt(hex, 16))));
}

/** Whether a glob of ComfyUI's would find it: no part may start with a dot. */
export function isListed(path: string): boolean {
  return !path.split("/").some((part) => part.startsWith("."));
}
