// Every key shape of the bucket, in one place. The invariant: what comes from a client is escaped segment by segment, so no key can leave its prefix,
// and a key is at most 1024 bytes (R2's limit). Parts the server makes itself are checked too, because a key made of a wrong part would be a leak.

/** R2: "Object key length 1,024 bytes". */
export const MAX_KEY_BYTES = 1024;
/** Longest file name kept in an output key; the pretty name lives in the workshop's object. */
const MAX_SAFE_NAME = 100;

/** An uploaded input of one seat; `uuid` is made by the server for each upload. */
export function inputKey(workshop: string, seat: string, uuid: string): string {
  return `in/${own(workshop)}/${own(seat)}/${own(uuid)}`;
}

/** One output of one lease, immutable [G21]. `n` counts from 0 within the lease. */
export function outputKey(output: { workshop: string; job: string; attempt: number; lease: string; n: number; filename: string }): string {
  return `o/${own(output.workshop)}/${own(output.job)}/${whole(output.attempt)}/${own(output.lease)}/${whole(output.n)}-${safeName(output.filename)}`;
}

/** Everything a job's attempts may write. */
export function jobOutputsPrefix(workshop: string, job: string): string {
  return `o/${own(workshop)}/${own(job)}/`;
}

/** Everything one lease may write. */
export function leasePrefix(lease: { workshop: string; job: string; attempt: number; lease: string }): string {
  return `o/${own(lease.workshop)}/${own(lease.job)}/${whole(lease.attempt)}/${own(lease.lease)}/`;
}

/** A prompt that does not fit a row [CF8]. */
export function promptKey(workshop: string, job: string): string {
  return `p/${own(workshop)}/${own(job)}.json`;
}

/** A document for a runner that is too large for the claim's answer [G12]. */
export function jobDocumentKey(workshop: string, job: string, attempt: number): string {
  return `p/${own(workshop)}/${own(job)}.${whole(attempt)}.run.json`;
}

/** A file a seat saved through `userdata`; null when the path is no path or the key would be too long. `path` is decoded, its separator `/`. */
export function userdataKey(workshop: string, seat: string, path: string): string | null {
  const escaped = escapePath(path);
  return escaped === null ? null : fitting(`${userdataPrefix(workshop, seat)}${escaped}`);
}

/** Where all user data of a seat stands; ends in a slash. */
export function userdataPrefix(workshop: string, seat: string): string {
  return `u/${own(workshop)}/${own(seat)}/`;
}

/** The path a `userdata` key was made from. */
export function userdataPath(workshop: string, seat: string, key: string): string | null {
  const prefix = userdataPrefix(workshop, seat);
  return key.startsWith(prefix) ? key.slice(prefix.length).split("/").map(unescapeSegment).join("/") : null;
}

/** What one ComfyUI reported to have. */
export function catalogKey(digest: string): string {
  return `catalog/${own(digest)}.json`;
}

/** A web file of a custom node; `path` as below `/extensions/`, decoded. */
export function catalogWebKey(digest: string, path: string): string | null {
  const escaped = escapePath(path);
  return escaped === null ? null : fitting(`catalog/${own(digest)}/web/${escaped}`);
}

/** A file name reduced to what every tool, header and shell takes: ASCII letters, digits, `.`, `_`, `-`; never empty, never starting with a dot. */
export function safeName(filename: string): string {
  const base = filename.slice(filename.lastIndexOf("/") + 1).normalize("NFKD").replaceAll(/[^A-Za-z0-9._-]+/g, "_").replace(/^\.+/, "");
  if (base.length <= MAX_SAFE_NAME) return base === "" ? "file" : base;
  const extension = /\.[A-Za-z0-9]{1,10}$/.exec(base)?.[0] ?? "";
  return base.slice(0, MAX_SAFE_NAME - extension.length) + extension;
}

/** Escapes a client's path: no empty, `.` or `..` segment survives as such, and no control character or backslash does. Reversible. Null for an empty path. */
function escapePath(path: string): string | null {
  const segments = path.split("/");
  if (segments.some((segment) => segment === "" || segment === "." || segment === "..") || !path.isWellFormed()) return null;
  return segments.map(escapeSegment).join("/");
}

function escapeSegment(segment: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are exactly what is to be escaped
  return segment.replaceAll(/[%\\\u0000-\u001f\u007f]/g, (character) => `%${character.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`);
}

function unescapeSegment(segment: string): string {
  return segment.replaceAll(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function fitting(key: string): string | null {
  return new TextEncoder().encode(key).length <= MAX_KEY_BYTES ? key : null;
}

/** A part the server made or has checked before (names, ids, digests). Anything else here is a fault of ours, not of a client. */
function own(part: string): string {
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/.test(part)) throw new Error(`not a part of a key: ${JSON.stringify(part.slice(0, 40))}`);
  return part;
}

function whole(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`not a count: ${value}`);
  return value;
}
