// What differs between what is there and what is wanted, field by field, and how it is shown. Pure. Only wanted fields are compared: what a provider adds
// of its own is its own.
export type Change = { path: string; from: unknown; to: unknown };

export function changesBetween(actual: unknown, wanted: unknown, path = ""): Change[] {
  if (isRecord(wanted)) {
    const there = isRecord(actual) ? actual : {};
    return Object.entries(wanted).flatMap(([name, value]) => changesBetween(there[name], value, path === "" ? name : `${path}.${name}`));
  }
  if (Array.isArray(wanted) && wanted.some(isRecord)) {
    const there = Array.isArray(actual) ? (actual as unknown[]) : [];
    const missing = there.slice(wanted.length).map((value, n) => ({ path: `${path}[${wanted.length + n}]`, from: value, to: undefined }));
    return [...(wanted as unknown[]).flatMap((value, n) => changesBetween(there[n], value, `${path}[${n}]`)), ...missing];
  }
  return JSON.stringify(actual) === JSON.stringify(wanted) ? [] : [{ path, from: actual, to: wanted }];
}

/** One line per change; a secret's value is never among them, because plans hold references only. */
export function changeLines(changes: readonly Change[]): string[] {
  return changes.map(({ path, from, to }) => (from === undefined ? `  + ${path} = ${show(to)}` : to === undefined ? `  - ${path} = ${show(from)}` : `  ~ ${path}: ${show(from)} → ${show(to)}`));
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? "nothing";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
