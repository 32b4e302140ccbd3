// What the bodies of the instructor's routes look like. Ranges here are those of a slip of the finger; what the queue itself limits, the queue refuses.
import { z } from "zod";

/** A day, the longest anything here lasts by itself. In seconds. */
const DAY_S = 86_400;
const sum = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const seconds = z.int().min(1).max(DAY_S);
const group = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,39}$/, "must be small letters, digits, - and _, at most 40");

export const bodies = {
  none: z.strictObject({}),
  switch: z.strictObject({ to: z.enum(["open", "paused", "draining", "closed"]) }),
  mode: z.strictObject({ mode: z.enum(["fifo", "round_robin", "fair", "priority"]) }),
  /** Names and units: docs/instructor-api.md. */
  params: z.record(z.string().max(40), z.int().min(0).max(Number.MAX_SAFE_INTEGER)).refine((params) => Object.keys(params).length > 0, "names no parameter"),
  slots: z.strictObject({ slots: z.int().min(0).max(1000) }),
  on: z.strictObject({ on: z.boolean() }),
  /** Micro-units of the workshop's currency; null: no limit. */
  budget: z.strictObject({ budget: sum.nullable() }),
  /** `confirm` repeats the name of what is cleared. Left out, the answer says how much it would be. */
  clear: z.strictObject({ confirm: z.string().max(100).default(""), running: z.boolean().default(false) }),
  bump: z.strictObject({ for_s: seconds.nullable().default(null) }),
  move: z.strictObject({ before: z.string().min(1).max(100).nullable() }),
  class: z.strictObject({ class: z.int().min(0).max(3) }),
  priority: z.strictObject({ priority: z.int().min(0).max(15) }),
  paused: z.strictObject({ paused: z.boolean() }),
  weight: z.strictObject({ weight: z.int().min(10).max(1000) }),
  group: z.strictObject({ group: group.nullable() }),
  draining: z.strictObject({ draining: z.boolean() }),
  groups: z.strictObject({ groups: z.array(group).min(1).max(50).nullable() }),
  announce: z.strictObject({ text: z.string().trim().min(1).max(500), level: z.enum(["info", "warning"]).default("info"), seat: z.string().max(40).nullable().default(null), for_s: seconds.default(3600) }),
};

const states = ["waiting", "dispatched", "running", "stopping", "succeeded", "failed", "cancelled"] as const;
const whole = z.coerce.number().int().min(0);

export const jobSearch = z.object({
  /** One or several, with commas. */
  state: z.string().transform((text) => text.split(",").map((one) => one.trim()).filter((one) => one !== "")).pipe(z.array(z.enum(states)).min(1)).nullish().transform((found) => found ?? null),
  seat: z.string().max(40).nullish().transform((found) => found || null),
  q: z.string().max(100).nullish().transform((found) => found?.trim() || null),
  before: whole.nullish().transform((found) => found ?? null),
  limit: whole.min(1).max(200).default(50),
});

export const auditSearch = z.object({
  by: z.string().max(40).nullish().transform((found) => found || null),
  what: z.string().max(40).nullish().transform((found) => found || null),
  target: z.string().max(100).nullish().transform((found) => found || null),
  before: whole.nullish().transform((found) => found ?? null),
  limit: whole.min(1).max(200).default(50),
});
