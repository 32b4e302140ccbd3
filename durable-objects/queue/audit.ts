// [Q69] Each instructor command leaves who, what, and what it was before.

import { emit, type Work } from "./work.ts";

export function audit(work: Work, by: string, what: string, target: string | null, previous: unknown, value: unknown): void {
  emit(work, { type: "audit", by, what, target, previous, value });
}
