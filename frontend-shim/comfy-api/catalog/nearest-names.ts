// Which names somebody may have meant. Invariant: only names that really look alike are offered, so that a wrong guess never
// reads like advice; the order is by likeness, then alphabetical, the same on every machine.

/** Names differ by at most this share of the longer one, case, folders, punctuation and file endings aside. */
const MAX_DIFFERENCE = 0.4;

function essence(name: string): string {
  const file = name.slice(name.lastIndexOf("/") + 1).toLowerCase();
  const stem = file.replace(/\.[a-z0-9]{1,12}$/, "");
  return stem.replace(/[^\p{L}\p{N}]+/gu, "");
}

/** Levenshtein distance of `a` and `b`, or `limit + 1` as soon as it is certain to be more than `limit`. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    let best = row;
    for (let column = 1; column <= b.length; column += 1) {
      const change = (above[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const cost = Math.min(change, (above[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1);
      current.push(cost);
      if (cost < best) best = cost;
    }
    if (best > limit) return limit + 1;
    above = current;
  }
  return above[b.length] ?? limit + 1;
}

/** How unlike two essences are, 0 to 1; more than 1 means not alike at all. One contained in the other counts as near. */
function unlikeness(wanted: string, offered: string): number {
  const longer = Math.max(wanted.length, offered.length);
  if (longer === 0) return 2;
  const shorter = Math.min(wanted.length, offered.length);
  const limit = Math.floor(longer * MAX_DIFFERENCE);
  const edits = distance(wanted, offered, limit);
  if (edits <= limit) return edits / longer;
  return shorter >= 4 && (wanted.includes(offered) || offered.includes(wanted)) ? MAX_DIFFERENCE + (longer - shorter) / longer / 2 : 2;
}

/**
 * Up to `count` names of `list` that look like `name`, most alike first (edit distance over what is left of a name without
 * folder, ending, case and punctuation). Empty when nothing is near. Both sides are cut to 120 characters.
 */
export function nearestNames(name: string, list: readonly string[], count = 3): string[] {
  const wanted = essence(name).slice(0, 120);
  const scored: { name: string; score: number }[] = [];
  for (const candidate of new Set(list)) {
    const score = unlikeness(wanted, essence(candidate).slice(0, 120));
    if (score <= 1) scored.push({ name: candidate, score });
  }
  scored.sort((a, b) => a.score - b.score || (a.name < b.name ? -1 : 1));
  return scored.slice(0, count).map((entry) => entry.name);
}
