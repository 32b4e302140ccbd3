// A real ComfyUI's recorded answers, replayed against a seat: the same requests in the same order must get the same answers, but for the differences that
// docs/conformance.md gives a reason for.
import { beforeAll, describe, expect, it } from "vitest";
import { DIFFERENCES, differenceOf } from "../conformance/differences.ts";
import { essenceOf, essenceOfRecorded, exchangesOf } from "../conformance/exchanges.ts";
import type { Exchange } from "../conformance/exchanges.ts";
import { comparablePrompt, isElsewhere, isStatic, picture, replay, ruleOf } from "../conformance/replay.ts";
import type { Replayed } from "../conformance/replay.ts";
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

function compare({ exchange, answer }: Replayed): void {
  if (answer === null) throw new Error("not a route of the seat");
  const [difference, rule] = [differenceOf(exchange), ruleOf(exchange)];
  const [now, then] = [essenceOf(exchange, answer, rule), essenceOfRecorded(exchange, rule)];
  if (difference === undefined) return expect(now).toEqual(then);
  expect(now, `no difference ${difference.id} any more`).not.toEqual(then);
  expect(now.status).toBe(difference.instead.status);
  if (difference.instead.type !== undefined) expect(now.type).toBe(difference.instead.type);
  if (difference.instead.body !== undefined) expect(now.body).toEqual(difference.instead.body);
}

function describeReplay(file: string, exchanges: Exchange[]): void {
  describe(`[R ${file}] replayed against a seat`, () => {
    let replayed: Replayed[] = [];
    beforeAll(async () => {
      replayed = await replay((await recordedSeat()).ask, exchanges);
    });
    exchanges.forEach((exchange, index) => {
      const difference = differenceOf(exchange);
      it(`${index + 1}. ${exchange.note}: ${exchange.method} ${exchange.path} ${difference === undefined ? `is ${exchange.status}` : `differs as ${difference.id}`}`, () => {
        const one = replayed[index];
        if (one === undefined) throw new Error("was not replayed");
        compare(one);
      });
    });
  });
}

describeReplay("http-userdata", exchangesOf("http-userdata", userdataText));
describeReplay("http-settings-users", exchangesOf("http-settings-users", settingsText));
describeReplay("http-upload-view", exchangesOf("http-upload-view", uploadText));

describeReplay("http-misc", misc.filter((exchange) => !isElsewhere(exchange)));

it("[R http-misc] what belongs to the page's files is left to them", async () => {
  const replayed = await replay((await recordedSeat()).ask, misc.filter(isStatic));
  expect(replayed.length).toBeGreaterThanOrEqual(5);
  expect(replayed.filter(({ answer }) => answer !== null)).toEqual([]);
});

describe("[R validation-errors] replayed against a seat", () => {
  let replayed: Replayed[] = [];
  const exchanges = exchangesOf("validation-errors", validationText).filter((exchange) => exchange.method === "POST" && exchange.path === "/api/prompt");
  beforeAll(async () => {
    replayed = await replay((await recordedSeat()).ask, exchanges);
  });
  it.each(exchanges.map((exchange, index) => [index, exchange.note] as const))("%i. %s", (index) => {
    const { exchange, answer } = replayed[index] ?? {};
    if (exchange === undefined || answer === null || answer === undefined) throw new Error("was not replayed");
    const difference = differenceOf(exchange);
    expect(answer.status).toBe(difference?.instead.status ?? exchange.status);
    expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
    if (difference === undefined) expect(comparablePrompt(JSON.parse(new TextDecoder().decode(answer.bytes)))).toEqual(comparablePrompt(exchange.json));
  });
});

it("every difference stands with its reason in docs/conformance.md, and every row there is one", () => {
  const rows = [...conformanceDoc.matchAll(/^\| (D\d+) \|/gm)].map((match) => match[1]);
  expect(rows.toSorted()).toEqual([...new Set(DIFFERENCES.map((difference) => difference.id))].toSorted());
});
