// The proof: every POST /prompt recorded from ComfyUI 0.3.64 gets the recorded status and body from the edge.
import { describe, expect, test } from "vitest";
import { parseJson, SERVER_ERROR_TEXT, validatePrompt } from "../../../frontend-shim/comfy-api/validation/index.ts";
import { type Exchange, recordedCatalog, recordedHistory, recordedPrompts, seatWith } from "./recorded.ts";

const catalog = recordedCatalog();
const seatFiles = seatWith("example.png");
const exchanges = recordedPrompts();

type Answer = { status: number; body: unknown };

function answer(request: string): Answer {
  let body: unknown;
  try {
    body = parseJson(request);
  } catch {
    return { status: 500, body: SERVER_ERROR_TEXT };
  }
  const verdict = validatePrompt(body, { catalog, seatFiles });
  if (verdict.ok) return { status: 200, body: { node_errors: verdict.nodeErrors } };
  return verdict.status === 500 ? { status: 500, body: verdict.text } : { status: 400, body: verdict.body };
}

function recorded(exchange: Exchange): Answer {
  if (exchange.status === 500) return { status: 500, body: exchange.response };
  const { prompt_id: _id, number: _number, ...body } = JSON.parse(exchange.response) as Record<string, unknown>;
  return { status: exchange.status, body };
}

type NodeError = { errors: { details: string; extra_info: { traceback?: string[] } }[]; dependent_outputs: string[] };

/** What no two servers agree on: line numbers and paths, and the order of inputs within a node, which Python takes from a hash set. */
function normalised(answered: Answer): Answer {
  const copy = structuredClone(answered);
  const body = copy.body as { error?: { details: string }; node_errors?: Record<string, NodeError> };
  for (const node of Object.values(body.node_errors ?? {})) {
    node.errors.sort((a, b) => (a.details < b.details ? -1 : 1));
    for (const error of node.errors) if (error.extra_info.traceback !== undefined) error.extra_info.traceback = [];
  }
  if (body.error !== undefined) body.error.details = body.error.details.split("\n").sort().join("\n");
  return copy;
}

/** Where a seat means to differ, with the reason. */
const DIFFERS: Record<string, { because: string; status: number }> = {
  "custom validation message": { because: "the node's own Python decides; the GPU reports it in the same shape", status: 200 },
  "not-a-uuid": { because: "[Q14] job ids are UUIDs", status: 400 },
};

function difference(exchange: Exchange): { because: string; status: number } | undefined {
  return DIFFERS[exchange.note] ?? (exchange.request.includes('"not-a-uuid"') ? DIFFERS["not-a-uuid"] : undefined);
}

type HistoryEntry = { prompt: [number, string, unknown, { client_id?: string; create_time?: number }, string[]] };

/** The recorder changed one object between three runs, so the first two requests show the third's file name prefix. */
function wasChangedLater({ file, note }: Exchange): boolean {
  return file === "run-cached.json" && !note.startsWith("third run");
}

describe("the recorded history", () => {
  const entries = recordedHistory();
  const accepted = new Map(exchanges.filter((exchange) => exchange.status === 200).map((exchange) => [(JSON.parse(exchange.response) as { prompt_id: string }).prompt_id, exchange]));
  const pairs = entries.flatMap((entry: HistoryEntry) => {
    const exchange = accepted.get(entry.prompt[1]);
    return exchange === undefined || exchange.request.includes('"not-a-uuid"') || wasChangedLater(exchange) ? [] : [{ id: entry.prompt[1], entry, exchange }];
  });
  test("has many of them", () => expect(pairs.length).toBeGreaterThan(10));
  test.each(pairs)("$id is stored as ComfyUI stores it, with the same outputs to execute", ({ entry, exchange }) => {
    const verdict = validatePrompt(parseJson(exchange.request), { catalog, seatFiles });
    const [, , prompt, { create_time: _added, ...extraData }, outputs] = entry.prompt;
    expect(verdict).toMatchObject({ ok: true, prompt, extraData });
    expect(verdict.ok && [...verdict.outputsToExecute].sort()).toEqual([...outputs].sort());
  });
});

describe("recorded POST /prompt", () => {
  test("all of them are here", () => {
    expect(exchanges.length).toBeGreaterThanOrEqual(60);
    expect(exchanges.filter((exchange) => exchange.status === 400).length).toBeGreaterThanOrEqual(20);
    expect(exchanges.filter((exchange) => difference(exchange) !== undefined)).toHaveLength(2);
  });

  exchanges.forEach((exchange, index) => {
    const meant = difference(exchange);
    const title = `${index + 1}. ${exchange.file}${exchange.note === "" ? "" : `: ${exchange.note}`}`;
    if (meant === undefined) {
      test(`${title}: the recorded answer (${exchange.status})`, () => {
        expect(normalised(answer(exchange.request))).toEqual(normalised(recorded(exchange)));
      });
    } else {
      test(`${title}: ${meant.status}, since ${meant.because}`, () => {
        expect(answer(exchange.request).status).toBe(meant.status);
        expect(recorded(exchange).status).not.toBe(meant.status);
      });
    }
  });
});
