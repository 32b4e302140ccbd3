// A rule without a test, or a test that names no rule, is a fault: docs/spec/queue.md against the titles of this folder.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const spec = readFileSync(join(import.meta.dirname, "../../../docs/spec/queue.md"), "utf8");
const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith(".test.ts"));

/** Titles of every test of a file, as written. */
function titles(file: string): string[] {
  const text = readFileSync(join(import.meta.dirname, file), "utf8");
  return [...text.matchAll(/\btest(?:\.each\([^)]*\))?\("((?:[^"\\]|\\.)*)"/g)].map((match) => match[1] ?? "");
}

const defined = {
  rules: [...spec.matchAll(/^- \*\*\[(Q\d+)\]/gm)].map((match) => match[1] ?? ""),
  invariants: [...spec.matchAll(/^- \*\*(I\d+) /gm)].map((match) => match[1] ?? ""),
  vectors: [...spec.matchAll(/^\| (T\d+) \|/gm)].map((match) => match[1] ?? ""),
};
const known = new Set([...defined.rules, ...defined.invariants, ...defined.vectors]);
const all = files.flatMap((file) => titles(file).map((title) => ({ file, title, ids: [...title.matchAll(/\[([QIT]\d+)\]/g)].map((match) => match[1] ?? "") })));

describe("rules and tests", () => {
  test("[Q1] the spec numbers its rules Q1 to Q78, I1 to I14, T1 to T34, each once", () => {
    const upTo = (letter: string, last: number) => Array.from({ length: last }, (_, n) => `${letter}${n + 1}`);
    const byNumber = (a: string, b: string) => Number(a.slice(1)) - Number(b.slice(1));
    expect([...defined.rules].sort(byNumber)).toEqual(upTo("Q", 78));
    expect([...defined.invariants].sort(byNumber)).toEqual(upTo("I", 14));
    expect([...defined.vectors].sort(byNumber)).toEqual(upTo("T", 34));
  });

  test("[Q1] every rule, invariant and vector has a test", () => {
    const tested = new Set(all.flatMap(({ ids }) => ids));
    expect([...known].filter((id) => !tested.has(id))).toEqual([]);
  });

  test("[Q1] every test names a rule that exists", () => {
    expect(all.length).toBeGreaterThan(130);
    expect(all.filter(({ ids }) => ids.length === 0 || ids.some((id) => !known.has(id)))).toEqual([]);
  });
});
