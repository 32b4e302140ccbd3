// The HTTP half of serving files, as pure functions: ranges, conditions, names and types (RFC 9110, RFC 6266). Knows no store.

/** What a validator is made of. */
export type StoredAs = { /** with its quotes */ httpEtag: string; uploaded: Date };

/** A media type as RFC 9110 8.3.1 spells it, in lower case; what a runner calls a type is not trusted to be one. */
export const MIME = /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+(?:\s*;[\x20-\x7e]*)?$/;

/** What a browser would execute or could be talked into executing, beside pictures that are documents (SVG). */
export const ACTIVE = /^(?:text\/(?:html|javascript|ecmascript|css|xml|xsl|jscript|livescript|x-[\w-]*script)|application\/(?:javascript|ecmascript|x-javascript|x-ecmascript|xml|xhtml\+xml|xslt\+xml|rdf\+xml|[\w.-]+\+xml|wasm|x-shockwave-flash)|multipart\/.*|message\/.*)$/;

/** One byte range against a size. Anything that is no single byte range is ignored, as RFC 9110 14.2 allows. */
export function parseRange(header: string, size: number): { offset: number; length: number } | "whole" | "unsatisfiable" {
  const match = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*$/.exec(header.trim());
  if (!match || (match[1] === "" && match[2] === "")) return "whole";
  if (match[1] === "") {
    const suffix = Math.min(Number(match[2]), size);
    return suffix === 0 ? "unsatisfiable" : { offset: size - suffix, length: suffix };
  }
  const first = Number(match[1]);
  const last = match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (match[2] !== "" && Number(match[2]) < first) return "whole";
  return first >= size ? "unsatisfiable" : { offset: first, length: last - first + 1 };
}

/** `If-Range` (RFC 9110 13.1.5): a range only of the very bytes the client has; a weak or other validator means the whole. */
export function currentRange(headers: Headers, object: StoredAs): boolean {
  const validator = headers.get("if-range");
  if (validator === null) return true;
  return validator.startsWith('"') ? validator === object.httpEtag : validator === object.uploaded.toUTCString();
}

/** RFC 9110 13.2.2, in its order. */
export function condition(object: StoredAs, headers: Headers): 304 | 412 | null {
  const modified = Math.floor(object.uploaded.getTime() / 1000) * 1000;
  const ifMatch = headers.get("if-match");
  const unmodifiedSince = Date.parse(headers.get("if-unmodified-since") ?? "");
  if (ifMatch !== null && !namesTag(ifMatch, object.httpEtag)) return 412;
  if (ifMatch === null && modified > unmodifiedSince) return 412;
  const ifNoneMatch = headers.get("if-none-match");
  if (ifNoneMatch !== null) return namesTag(ifNoneMatch, object.httpEtag) ? 304 : null;
  return modified <= Date.parse(headers.get("if-modified-since") ?? "") ? 304 : null;
}

/** Weak comparison: a proxy that compresses marks our strong tag with `W/`. */
function namesTag(list: string, tag: string): boolean {
  return list.trim() === "*" || list.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === tag);
}

/** `filename="x"` as ComfyUI writes it; a name outside ASCII also as `filename*` (RFC 6266, RFC 5987). */
export function dispositionName(filename: string): string {
  const name = filename.slice(filename.lastIndexOf("/") + 1).toWellFormed();
  const ascii = name.replaceAll(/[^\x20-\x7e]/g, "_").replaceAll(/["\\]/g, (character) => `\\${character}`);
  if (/^[\x20-\x7e]*$/.test(name)) return `filename="${ascii}"`;
  const encoded = encodeURIComponent(name).replaceAll(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  return `filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
