// A real ComfyUI's recorded answers, replayed against a seat: the same requests in the same order must get the same answers, but for the differences that
// docs/conformance.md gives a reason for.
import { beforeAll, describe, expect, it } from "vitest";
import { DIFFERENCES, differenceOf } from "../conformance/differences.ts";
import { essenceOf, essenceOfRecorded, exchangesOf } from "../conformance/exchanges.ts";
import type { Answer, BodyRule, Exchange } from "../conformance/exchanges.ts";
import { encodePng } from "../../frontend-shim/comfy-api/pictures/index.ts";
import { openSeatOf, reportCatalog } from "./seat-harness.ts";
import type { Seat } from "./seat-harness.ts";
import conformanceDoc from "../../docs/conformance.md?raw";
import miscText from "../recordings/http-misc.json?raw";
import objectInfoText from "../recordings/object_info.json?raw";
import settingsText from "../recordings/http-settings-users.json?raw";
import uploadText from "../recordings/http-upload-view.json?raw";
import userdataText from "../recordings/http-userdata.json?raw";
import validationText from "../recordings/validation-errors.json?raw";

const misc = exchangesOf("http-misc", miscText);

/** A seat as the recorded server was: its nodes, models and translations, and the one picture it comes with. */
async function recordedSeat(): Promise<Seat> {
  const seat = await openSeatOf();
  const recorded = (path: string) => misc.find((exchange) => exchange.path === path)?.json;
  const folders = recorded("/api/models") as string[];
  const models = Object.fromEntries(folders.map((folder) => [folder, folder === "checkpoints" ? (recorded("/api/models/checkpoints") as string[]) : []]));
  const extensions = recorded("/api/extensions") as string[];
  const web = { path: "edge_test_nodes/edge_test.js", size: 242, sha256: "0".repeat(64), content_type: "application/javascript" };
  const parts = { object_info: JSON.parse(objectInfoText) as Record<string, unknown>, models, extensions, embeddings: recorded("/api/embeddings") as string[], i18n: recorded("/api/i18n") as Record<string, unknown>, web_files: [web] };
  const digest = await reportCatalog(seat.context, parts, objectInfoText);
  await seat.context.files.put(`catalog/${digest}/web/${web.path}`, misc.find((exchange) => exchange.path === "/extensions/edge_test_nodes/edge_test.js")?.head ?? "");
  const form = new FormData();
  form.set("image", new File([await picture(200)], "example.png"));
  await seat.get("POST", "/upload/image", { body: form });
  return seat;
}

async function picture(alpha: number): Promise<Uint8Array<ArrayBuffer>> {
  return await encodePng({ width: 16, height: 12, rgba: Uint8ClampedArray.from({ length: 16 * 12 * 4 }, (_, at) => (at % 4 === 3 ? alpha : (at * 5) % 256)) }, "rgba");
}

/** The recorded forms say `<file NAME SIZE>`: of two pictures, one had 80 bytes and one 79. */
async function formOf(fields: [string, string][]): Promise<FormData> {
  const form = new FormData();
  for (const [name, value] of fields) {
    const match = /^<file (.*) (\d+)>$/.exec(value);
    if (match === null) form.append(name, value);
    else form.append(name, new File([await contentOf(match[1] ?? "", Number(match[2]))], match[1] ?? ""));
  }
  return form;
}

async function contentOf(name: string, size: number): Promise<string | Uint8Array<ArrayBuffer>> {
  if (name.endsWith(".html")) return "<script>alert(1)</script>";
  return name.endsWith(".svg") ? '<svg xmlns="http://www.w3.org/2000/svg"/>' : await picture(size === 80 ? 128 : 255);
}

async function bodyOf(exchange: Exchange): Promise<BodyInit | null> {
  const { requestBody: body, requestHeaders: headers } = exchange;
  if (exchange.method === "GET" || exchange.method === "HEAD" || exchange.method === "OPTIONS") return null;
  if (exchange.path.startsWith("/api/upload/")) return await formOf(body as [string, string][]);
  if (headers["content-type"] === "application/json" && exchange.note !== "body is not JSON") return JSON.stringify(body ?? null);
  return typeof body === "string" ? body : body === null || body === undefined ? null : JSON.stringify(body);
}

type Replayed = { exchange: Exchange; answer: Answer | null };

/** Plays exchanges in order; a validator recorded from the other server is replaced by the one this seat gave for the same path. */
async function replay(seat: Seat, exchanges: Exchange[]): Promise<Replayed[]> {
  const etags = new Map<string, string>();
  const replayed: Replayed[] = [];
  for (const exchange of exchanges) {
    const headers = { ...exchange.requestHeaders };
    if (headers["if-none-match"]) headers["if-none-match"] = etags.get(exchange.path) ?? "";
    if (exchange.path.startsWith("/api/upload/")) delete headers["content-type"];
    const answer = await seat.ask(exchange.method, exchange.path, { body: await bodyOf(exchange), headers });
    const etag = answer?.headers.get("etag");
    if (etag) etags.set(exchange.path, etag);
    replayed.push({ exchange, answer: answer && { status: answer.status, headers: Object.fromEntries(answer.headers), bytes: new Uint8Array(await answer.arrayBuffer()) } });
  }
  await seat.settle();
  return replayed;
}

function compare({ exchange, answer }: Replayed, rule: BodyRule): void {
  if (answer === null) throw new Error("not a route of the seat");
  const difference = differenceOf(exchange);
  const [now, then] = [essenceOf(exchange, answer, rule), essenceOfRecorded(exchange, rule)];
  if (difference === undefined) return expect(now).toEqual(then);
  expect(now, `no difference ${difference.id} any more`).not.toEqual(then);
  expect(now.status).toBe(difference.instead.status);
  if (difference.instead.type !== undefined) expect(now.type).toBe(difference.instead.type);
  if (difference.instead.body !== undefined) expect(now.body).toEqual(difference.instead.body);
}

function describeReplay(file: string, exchanges: Exchange[], ruleOf: (exchange: Exchange) => BodyRule): void {
  describe(`[R ${file}] replayed against a seat`, () => {
    let replayed: Replayed[] = [];
    beforeAll(async () => {
      replayed = await replay(await recordedSeat(), exchanges);
    });
    exchanges.forEach((exchange, index) => {
      const difference = differenceOf(exchange);
      it(`${index + 1}. ${exchange.note}: ${exchange.method} ${exchange.path} ${difference === undefined ? `is ${exchange.status}` : `differs as ${difference.id}`}`, () => {
        const one = replayed[index];
        if (one === undefined) throw new Error("was not replayed");
        compare(one, ruleOf(exchange));
      });
    });
  });
}

describeReplay("http-userdata", exchangesOf("http-userdata", userdataText), (exchange) => (exchange.path.includes("?dir=") ? "any-order" : "exact"));
describeReplay("http-settings-users", exchangesOf("http-settings-users", settingsText), () => "exact");
describeReplay("http-upload-view", exchangesOf("http-upload-view", uploadText), (exchange) => (/preview=|example\.png/.test(exchange.path) ? "format" : "exact"));

/** That server's own state, not its protocol: what had run on it, its clock, its memory. */
const OWN_STATE = /^\/api\/(?:history|jobs|system_stats)$|^\/internal\/logs|^\/(?:api\/)?object_info$|^\/extensions\/edge_test/;
/** Left to the page's files by every seat (`ask` answers null), or the socket's, or the edge's: each has its own tests. */
const ELSEWHERE = (exchange: Exchange) => exchange.requestHeaders["origin"] !== undefined || exchange.path === "/ws" || exchange.path === "/" || /^\/(?:scripts|favicon|docs|no\/such|extensions\/core)/.test(exchange.path);

describeReplay("http-misc", misc.filter((exchange) => !ELSEWHERE(exchange)), (exchange) => (OWN_STATE.test(exchange.path) ? "kind" : "exact"));

it("[R http-misc] what belongs to the page's files is left to them", async () => {
  const replayed = await replay(await recordedSeat(), misc.filter((exchange) => /^\/(?:scripts|favicon|docs|no\/such|extensions\/core)/.test(exchange.path)));
  expect(replayed.length).toBeGreaterThanOrEqual(5);
  expect(replayed.filter(({ answer }) => answer !== null)).toEqual([]);
});

describe("[R validation-errors] replayed against a seat", () => {
  let replayed: Replayed[] = [];
  const exchanges = exchangesOf("validation-errors", validationText).filter((exchange) => exchange.method === "POST" && exchange.path === "/api/prompt");
  beforeAll(async () => {
    replayed = await replay(await recordedSeat(), exchanges);
  });
  it.each(exchanges.map((exchange, index) => [index, exchange.note] as const))("%i. %s", (index) => {
    const { exchange, answer } = replayed[index] ?? {};
    if (exchange === undefined || answer === null || answer === undefined) throw new Error("was not replayed");
    const difference = differenceOf(exchange);
    expect(answer.status).toBe(difference?.instead.status ?? exchange.status);
    expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
    if (difference === undefined) expect(comparable(JSON.parse(new TextDecoder().decode(answer.bytes)))).toEqual(comparable(exchange.json));
  });
});

/** Ids and numbers are each server's own; tracebacks name lines of its code; the order of a node's inputs comes from a hash set there. */
function comparable(body: unknown): unknown {
  const copy = structuredClone(body) as { prompt_id?: string; number?: number; error?: { details: string }; node_errors: Record<string, { errors: { details: string; extra_info: { traceback?: string[] } }[] }> };
  delete copy.prompt_id;
  delete copy.number;
  if (copy.error) copy.error.details = copy.error.details.split("\n").sort().join("\n");
  for (const node of Object.values(copy.node_errors)) {
    node.errors.sort((a, b) => (a.details < b.details ? -1 : 1));
    for (const error of node.errors) if (error.extra_info.traceback) error.extra_info.traceback = [];
  }
  return copy;
}

it("every difference stands with its reason in docs/conformance.md, and every row there is one", () => {
  const rows = [...conformanceDoc.matchAll(/^\| (D\d+) \|/gm)].map((match) => match[1]);
  expect(rows.toSorted()).toEqual([...new Set(DIFFERENCES.map((difference) => difference.id))].toSorted());
});
