// A caller from outside for the edge's tests: real requests to the Worker's own entry, workshops made by the operator's own commands.
import { env, exports } from "cloudflare:workers";

export const HOST = "https://shop.example";
/** As vitest.config.ts binds it. */
export const OPERATOR = { authorization: `Bearer ${env.OPERATOR_TOKEN}` };

export type Call = { method?: string; headers?: Record<string, string>; body?: string | Uint8Array | ReadableStream<Uint8Array> };

export function call(path: string, { method = "GET", headers = {}, body }: Call = {}): Promise<Response> {
  return exports.default.fetch(new Request(path.startsWith("http") ? path : `${HOST}${path}`, { method, headers, redirect: "manual", ...(body === undefined ? {} : { body }) }));
}

export function post(path: string, value: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return call(path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(value) });
}

export type Workshop = { name: string; instructor: string; passwords: string[]; poolToken: string };

/** A workshop with seats user001… and one pool `gpu` that runners dial in to. */
export async function workshop(name: string, seats = 2): Promise<Workshop> {
  const made = await post("/ops/v1/workshops", { workshop: name, title: `Workshop ${name}`, seats, pools: [{ id: "gpu", provider: "pull", max_in_flight: 2, lease_ms: 60_000, claim_ms: 60_000 }] }, OPERATOR);
  if (!made.ok) throw new Error(`${made.status} ${await made.text()}`);
  const { instructor, seats: given } = (await made.json()) as { instructor: { password: string }; seats: { password: string }[] };
  const minted = await post(`/ops/v1/workshops/${name}/pools/gpu/token`, {}, OPERATOR);
  const { token } = (await minted.json()) as { token: string };
  return { name, instructor: instructor.password, passwords: given.map(({ password }) => password), poolToken: token };
}

export function basic(user: string, password: string): { authorization: string } {
  return { authorization: `Basic ${btoa(`${user}:${password}`)}` };
}

/** Signs in by the form's JSON form; the cookies as a browser would store them, by path. */
export async function signIn(name: string, seat: string, password: string): Promise<{ cookie: string; paths: string[] }> {
  const answer = await post(`/${name}/login`, { seat, password });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  const set = answer.headers.getSetCookie();
  await answer.body?.cancel();
  return { cookie: set[0]?.split(";")[0] ?? "", paths: set.map((cookie) => /Path=([^;]+)/.exec(cookie)?.[1] ?? "") };
}

/** What an answer says, in few words: its status, and where it leads. */
export async function gist(answer: Response): Promise<string> {
  await answer.body?.cancel();
  const location = answer.headers.get("location");
  return location === null ? String(answer.status) : `${answer.status} ${location}`;
}

export async function sha256(bytes: Uint8Array): Promise<string> {
  return [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.slice()))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
