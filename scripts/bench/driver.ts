// One load driver for the product and its peers: keep-alive HTTP from this process, so that what differs is the server.
import { Agent, request } from "node:http";
import type { Row } from "./main.ts";

export type Answer = { status: number; body: string; ms: number };
export type Print = (row: Row) => void;
/** Where users send, and what they sign in with. */
export type Target = { url(user: number): string; headers(user: number): Record<string, string> };

export function makeAgent(connections: number): Agent {
  return new Agent({ keepAlive: true, maxSockets: connections });
}

/** POST and read the whole answer; ms from the first byte sent to the last byte read. */
export async function post(agent: Agent, url: string, body: string, headers: Record<string, string>): Promise<Answer> {
  const began = performance.now();
  return await new Promise((resolve, reject) => {
    const call = request(url, { method: "POST", agent, headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body), ...headers } }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString(), ms: performance.now() - began }));
      answer.on("error", reject);
    });
    call.on("error", reject);
    call.end(body);
  });
}

/** x_⌈p·n⌉ of the sorted values, as docs/spec/queue.md section 15 defines percentiles. */
export function percentile(values: number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? Number.NaN;
}

export function median(values: number[]): number {
  return percentile(values, 0.5);
}

export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Awaits until `done` answers true, looking every `everyMs`; throws with `what` after `withinMs`. */
export async function until(what: string, withinMs: number, done: () => boolean | Promise<boolean>, everyMs = 5): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`${what} did not happen within ${withinMs} ms`);
    await sleep(everyMs);
  }
}
