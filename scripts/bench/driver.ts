// One load driver for the product and its peers: keep-alive HTTP from this process, so that what differs is the server.
import { Agent, request } from "node:http";

export type Answer = { status: number; body: string; ms: number };

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

export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}
