// Whether an output of one type may feed an input of another. A type is a name, a comma list of names (any overlap will do),
// `*` for anything, or, in old combos, the list of choices itself.
import type { Json } from "../catalog/types.ts";
import { equals } from "./python.ts";

const ANY = "*";
/** Matched by the page, not by the server. */
const MATCH_TYPE = "COMFY_MATCHTYPE_V3";

type SocketType = string | readonly Json[];

function names(type: string): string[] {
  return type.split(",").map((name) => name.trim());
}

/** ComfyUI's test of a link, union and wildcard types included. */
export function typesMatch(received: SocketType, wanted: SocketType): boolean {
  if (received === wanted) return true;
  if (received === ANY || wanted === ANY || received === MATCH_TYPE || wanted === MATCH_TYPE) return true;
  if (typeof received !== "string") return wanted === "COMBO" || equals(received, wanted as Json);
  if (typeof wanted !== "string") return false;
  const wantedNames = names(wanted);
  return names(received).some((name) => name === ANY || wantedNames.includes(name)) || wantedNames.includes(ANY);
}
