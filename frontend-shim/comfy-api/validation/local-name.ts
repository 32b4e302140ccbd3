// ComfyUI numbers its files `<stem>_<digits><tail>`; a seat continues its own count [G22]. Invariant: `finalName` of a parsed name
// with its own number is the name again.

export type LocalName = {
  /** What stands before the number, without the underscore. */
  readonly stem: string;
  /** The last run of five or more digits that follows an underscore, as written; null for a name without a counter. */
  readonly digits: string | null;
  /** What follows the number: `_.png`, `.mp4`, `-audio.mp4`; without a counter, the file ending. */
  readonly tail: string;
};

/** Fewest digits of a counter, as ComfyUI pads them. */
const DIGITS = 5;
const COUNTER = /^(.*)_(\d{5,})(?!\d)(.*)$/s;

/** Takes a local file name apart. A name without a counter keeps its ending as `tail`. */
export function parseLocalName(name: string): LocalName {
  const counted = COUNTER.exec(name);
  if (counted !== null) return { stem: counted[1] ?? "", digits: counted[2] ?? null, tail: counted[3] ?? "" };
  const dot = name.lastIndexOf(".");
  return dot > 0 ? { stem: name.slice(0, dot), digits: null, tail: name.slice(dot) } : { stem: name, digits: null, tail: "" };
}

/** `<stem>_<counter, five digits at least><tail>`; for a name without a counter ComfyUI's own form has `_` before the ending. */
export function finalName(stem: string, counter: number, tail: string): string {
  return `${stem}_${String(counter).padStart(DIGITS, "0")}${tail}`;
}
