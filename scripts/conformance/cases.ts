// One case: what was asked, what this server said and what the recording says, both without what no two servers agree on. Pure.

export type Case = { scenario: string; what: string; said: unknown; recorded: unknown; /** a row of docs/conformance.md that explains a difference */ row: string | null };
export type Verdict = { scenario: string; what: string; outcome: "same" | "known" | "differs"; row: string | null; left: unknown; right: unknown };

/** Keys in order, so that two servers may write them as they like. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, member]) => [key, sorted(member)]));
}

function verdict({ scenario, what, row }: Case, left: unknown, right: unknown): Verdict {
  const same = JSON.stringify(sorted(left)) === JSON.stringify(sorted(right));
  return { scenario, what, outcome: same ? "same" : row === null ? "differs" : "known", row: same ? null : row, left, right };
}

/** Where two values first part, and what stands there on either side. */
export function firstDifference(left: unknown, right: unknown, path = ""): { path: string; left: unknown; right: unknown } | null {
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null || Array.isArray(left) !== Array.isArray(right)) return left === right ? null : { path: path || "(all of it)", left, right };
  const [a, b] = [left as Record<string, unknown>, right as Record<string, unknown>];
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const found = firstDifference(a[key], b[key], path === "" ? key : `${path}.${key}`);
    if (found !== null) return found;
  }
  return null;
}

/** A server held against the recording. */
export function againstRecording(cases: Case[]): Verdict[] {
  return cases.map((one) => verdict(one, one.recorded, one.said));
}

/** Two servers held against each other, case by case; a case that only one could be asked is left out. */
export function againstEachOther(a: Case[], b: Case[]): Verdict[] {
  const others = new Map(b.map((one) => [`${one.scenario} ${one.what}`, one]));
  return a.flatMap((one) => {
    const other = others.get(`${one.scenario} ${one.what}`);
    return other === undefined ? [] : [verdict({ ...one, row: one.row ?? other.row }, one.said, other.said)];
  });
}
