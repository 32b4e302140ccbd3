// What operators and instructors both may ask of GPUs, and within which bounds.
import type { Context } from "hono";
import { z } from "zod";
import type { EdgeEnv } from "../app.ts";

/** An order to keep machines up ends by itself (minutes). */
const WARM = { usual: 120, most: 24 * 60 };
const MOST_LINES = 1000;

export const warmWish = z.strictObject({ replicas: z.int().min(1).max(100).default(1), minutes: z.int().min(1).max(WARM.most).default(WARM.usual) });

export function lines(c: Context<EdgeEnv>, usual: number): number {
  const asked = Number(c.req.query("lines") ?? usual);
  return Number.isInteger(asked) && asked > 0 ? Math.min(asked, MOST_LINES) : usual;
}
