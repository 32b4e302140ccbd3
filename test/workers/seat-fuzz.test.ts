// Names, paths and headers of a hostile client, at random: whatever one seat asks, nothing of another is ever answered or touched, no key leaves the seat's
// prefix, and no request makes the server fall over beyond the crashes that ComfyUI itself answers with.
import { env } from "cloudflare:workers";
import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { openWorkshop, reportCatalog } from "./seat-harness.ts";
import type { Seat } from "./seat-harness.ts";

const SECRET = "bobs-secret-7c1f";
const CRASH = "500 Internal Server Error\n\nServer got itself in trouble";

const trick = fc.constantFrom(
  "..", ".", "", "%2e%2e", "%252e%252e", "%2F", "%252F", "%5C", "\\", "%00", "%", "%zz", "%C3", "%ED%A0%80", "%E2%80%AE", "~", "*", "?", "%3F", "%23", ":", "con", "__proto__", "constructor", "toString",
  "bob", "ada", "secret.txt", "workflows", "user.css", "comfy.settings.json", "u", "in", "catalog", "p", "o", "move", "api", "internal", " [input]", "[output]", ".git", "é", "图", "a".repeat(400),
);
const name = fc.array(fc.oneof({ weight: 4, arbitrary: trick }, { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 12 }).map((text) => encodeURIComponent(text.toWellFormed())) }), { minLength: 1, maxLength: 6 })
  .chain((parts) => fc.constantFrom("", "/", "%2F", "%252F", "..%2F").map((join) => parts.join(join)));

const ROUTES = [
  "/userdata/{n}", "/api/userdata/{n}", "/userdata/{n}/move/{n}", "/userdata?dir={n}&recurse=true&full_info={n}", "/v2/userdata?path={n}", "/view?filename={n}", "/view?filename={n}&type=input&subfolder={n}",
  "/view?filename={n}&type={n}&channel={n}&preview={n}", "/settings/{n}", "/history/{n}", "/history?max_items={n}&offset={n}", "/api/jobs/{n}", "/api/jobs?status={n}&limit={n}", "/api/jobs/{n}/cancel", "/object_info/{n}", "/models/{n}",
  "/experiment/models/{n}", "/experiment/models/preview/{n}/0/{n}", "/view_metadata/{n}?filename={n}", "/extensions/{n}", "/api/workflow_templates/{n}/{n}", "/templates/{n}", "/internal/files/{n}", "/global_subgraphs/{n}", "/{n}", "/api/{n}",
  "/upload/image", "/upload/mask", "/queue", "/interrupt", "/free", "/prompt", "/settings", "/users", "/api/jobs/cancel", "/internal/logs/subscribe", "/history", "/internal/logs", "/api/assets/{n}",
];

const body = fc.oneof(
  fc.constantFrom("", "{", "[]", "{}", "null", '"x"', "7", '{"clear":true}', '{"delete":["../bob"]}', '{"prompt":{}}', '{"prompt":[]}', '{"job_ids":[null,"../x"]}', '{"__proto__":{"a":1}}', '{"prompt":{"__proto__":{"class_type":"LoadImage","inputs":{"image":"secret.txt"}}}}'),
  name.map((text) => JSON.stringify({ prompt: { "1": { class_type: "LoadImage", inputs: { image: decodeLoosely(text) } }, "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: text } } } })),
  fc.json({ maxDepth: 3 }),
);

function decodeLoosely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const asked = fc.record({
  method: fc.constantFrom("GET", "GET", "GET", "POST", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS"),
  target: fc.constantFrom(...ROUTES).chain((route) => fc.array(name, { minLength: 3, maxLength: 3 }).map((names) => fill(route, names))),
  body,
  form: fc.option(fc.record({ filename: name.map(decodeLoosely), subfolder: name.map(decodeLoosely), type: fc.constantFrom("input", "output", "temp", "../bob"), original_ref: name.map((text) => JSON.stringify({ filename: decodeLoosely(text), subfolder: "../bob", type: "input" })) }), { freq: 3 }),
});
type Asked = typeof asked extends fc.Arbitrary<infer T> ? T : never;

function fill(route: string, names: string[]): string {
  let at = 0;
  const [path = "", query] = route.split("?");
  const filledPath = path.replaceAll("{n}", () => names[at++ % names.length]?.replaceAll(/[?#\s]/g, "") ?? "");
  return query === undefined ? filledPath : `${filledPath}?${query.replaceAll("{n}", () => names[at++ % names.length]?.replaceAll(/[#&\s]/g, "") ?? "")}`;
}

async function send(seat: Seat, { method, target, body: text, form }: Asked): Promise<Response | null> {
  if (method === "GET" || method === "HEAD" || method === "OPTIONS") return await seat.ask(method, target, { headers: { accept: "text/html", "comfy-user": "bob" } });
  if (!target.includes("/upload/")) return await seat.ask(method, target, { body: text, headers: { "comfy-user": "bob", "idempotency-key": "../bob" } });
  const fields = form === null ? [] : (["subfolder", "type", "original_ref"] as const).map((field) => `--b\r\nContent-Disposition: form-data; name="${field}"\r\n\r\n${form[field]}\r\n`);
  const file = form === null ? "" : `--b\r\nContent-Disposition: form-data; name="image"; filename="${form.filename.replaceAll(/[\\"]/g, "\\$&")}"\r\n\r\nada's own\r\n`;
  return await seat.ask(method, target, { body: `${fields.join("")}${file}--b--\r\n`, headers: { "content-type": "multipart/form-data; boundary=b" } });
}

async function keysOf(workshop: string): Promise<Map<string, string>> {
  const keys = new Map<string, string>();
  for (let cursor: string | undefined, more = true; more; ) {
    const page = await env.FILES.list(cursor === undefined ? {} : { cursor });
    for (const object of page.objects) if (!/^[a-z]+\/[^/]+\//.test(object.key) || object.key.includes(`/${workshop}/`) || !/\/seat-test-/.test(object.key)) keys.set(object.key, object.etag);
    more = page.truncated;
    cursor = page.truncated ? page.cursor : undefined;
  }
  return keys;
}

describe("a hostile client in a seat", () => {
  let ada: Seat;
  let bob: Seat;
  let workshop = "";
  let before = new Map<string, string>();

  beforeAll(async () => {
    const opened = await openWorkshop("ada", "bob");
    [ada, bob] = opened.seats as [Seat, Seat];
    workshop = opened.workshop;
    const loader = { input: { required: { image: [[], { image_upload: true }] } }, output: ["IMAGE"], output_node: false, name: "LoadImage", category: "" };
    const saver = { input: { required: { images: ["IMAGE"], filename_prefix: ["STRING", {}] } }, output: [], output_node: true, name: "SaveImage", category: "" };
    await reportCatalog(ada.context, { object_info: { LoadImage: loader, SaveImage: saver } });
    for (const path of ["secret.txt", "workflows%2Fsecret.txt", "user.css"]) await bob.get("POST", `/userdata/${path}`, { body: SECRET });
    for (const type of ["input", "output", "temp"]) {
      const form = new FormData();
      form.set("image", new File([SECRET], "secret.txt"));
      form.set("type", type);
      await bob.get("POST", "/upload/image", { body: form });
    }
    await bob.get("POST", "/settings/secret.txt", { body: JSON.stringify(SECRET) });
    before = await keysOf(workshop);
  });

  it("gets nothing of another seat, breaks nothing, and writes only below its own prefixes", async () => {
    await fc.assert(
      fc.asyncProperty(asked, async (request) => {
        const answer = await send(ada, request);
        if (answer === null) return;
        const text = new TextDecoder().decode(await answer.arrayBuffer());
        const headers = JSON.stringify([...answer.headers]);
        expect(text).not.toContain(SECRET);
        expect(headers).not.toContain(SECRET);
        if (answer.status >= 500) expect([500, 503]).toContain(answer.status);
        if (answer.status === 500 && request.method !== "HEAD") expect(text).toBe(CRASH);
        if (answer.status === 503 && request.method !== "HEAD") expect(text).toContain("SERVICE_DISABLED");
        for (const [, value] of answer.headers) expect(/[\r\n\0]/.test(value)).toBe(false);
      }),
      { numRuns: 3000, seed: 20261123 },
    );
    await ada.settle();
    const after = await keysOf(workshop);
    for (const [key, etag] of before) expect(after.get(key), key).toBe(etag);
    const added = [...after.keys()].filter((key) => !before.has(key));
    expect(added.length).toBeGreaterThan(0);
    const own = [`u/${workshop}/ada/`, `in/${workshop}/ada/`, `p/${workshop}/`];
    expect(added.filter((key) => !own.some((prefix) => key.startsWith(prefix)) || key.split("/").includes(".."))).toEqual([]);
    expect(await (await bob.get("GET", "/settings")).json()).toEqual({ "secret.txt": SECRET });
    expect(await (await bob.get("GET", "/userdata/secret.txt")).text()).toBe(SECRET);
    expect(await (await bob.get("GET", "/queue")).json()).toEqual({ queue_running: [], queue_pending: [] });
  });

  it("reads back under any name what it saved under it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", minLength: 1, maxLength: 40 }), fc.string({ maxLength: 20 }), async (raw, content) => {
        const path = raw.toWellFormed().replaceAll("%", "％");
        const saved = await ada.get("POST", `/userdata/${encodeURIComponent(path)}`, { body: content });
        if (saved.status !== 200) return void expect([400, 403]).toContain(saved.status);
        const stored: string = await saved.json();
        const again = await ada.get("GET", `/userdata/${encodeURIComponent(stored)}`);
        expect([again.status, new TextDecoder().decode(await again.arrayBuffer())]).toEqual([200, content]);
        expect((await ada.get("DELETE", `/userdata/${encodeURIComponent(stored)}`)).status).toBe(204);
      }),
      { numRuns: 150, seed: 20261123 },
    );
  });
});
