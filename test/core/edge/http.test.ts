import { describe, expect, it } from "vitest";
import type { RefusalReason } from "../../../durable-objects/contract.ts";
import { ACTIVE, condition, dispositionName, MIME, parseRange } from "../../../r2/http.ts";
import { refuse, statusOf } from "../../../workers/errors.ts";

describe("ranges", () => {
  it.each([
    ["bytes=0-3", { offset: 0, length: 4 }],
    ["bytes=2-", { offset: 2, length: 8 }],
    ["bytes=-3", { offset: 7, length: 3 }],
    ["bytes=-30", { offset: 0, length: 10 }],
    ["bytes=9-99", { offset: 9, length: 1 }],
    ["bytes=10-", "unsatisfiable"],
    ["bytes=-0", "unsatisfiable"],
    ["bytes=5-2", "whole"],
    ["bytes=0-1,4-5", "whole"],
    ["bytes=-", "whole"],
    ["bytes=a-b", "whole"],
    ["items=0-1", "whole"],
    ["", "whole"],
  ])("[CF22] %j of ten bytes is %j", (header, range) => {
    expect(parseRange(header, 10)).toEqual(range);
  });

  it("[CF22] nothing of an empty file can be satisfied", () => {
    expect([parseRange("bytes=0-", 0), parseRange("bytes=-1", 0)]).toEqual(["unsatisfiable", "unsatisfiable"]);
  });
});

describe("conditions", () => {
  const object = { httpEtag: '"abc"', uploaded: new Date("2026-11-01T10:00:00.700Z") };
  const verdict = (headers: Record<string, string>): 304 | 412 | null => condition(object, new Headers(headers));

  it.each([
    [{}, null],
    [{ "if-none-match": '"abc"' }, 304],
    [{ "if-none-match": 'W/"abc"' }, 304],
    [{ "if-none-match": '"x", "abc"' }, 304],
    [{ "if-none-match": "*" }, 304],
    [{ "if-none-match": '"x"' }, null],
    [{ "if-modified-since": "Sun, 01 Nov 2026 10:00:00 GMT" }, 304],
    [{ "if-modified-since": "Sun, 01 Nov 2026 09:59:59 GMT" }, null],
    [{ "if-none-match": '"x"', "if-modified-since": "Sun, 01 Nov 2026 10:00:00 GMT" }, null],
    [{ "if-modified-since": "yesterday" }, null],
    [{ "if-match": '"x"' }, 412],
    [{ "if-match": '"abc"' }, null],
    [{ "if-unmodified-since": "Sun, 01 Nov 2026 09:59:59 GMT" }, 412],
  ])("[CF22] %j is answered %j", (headers, status) => {
    expect(verdict(headers as Record<string, string>)).toBe(status);
  });
});

describe("names in headers", () => {
  it.each([
    ["a.png", 'filename="a.png"'],
    ["sub/a.png", 'filename="a.png"'],
    ['a"b\\c.png', 'filename="a\\"b\\\\c.png"'],
    ["猫 (1).png", "filename=\"_ (1).png\"; filename*=UTF-8''%E7%8C%AB%20%281%29.png"],
    ["a\r\nset-cookie: x.png", "filename=\"a__set-cookie: x.png\"; filename*=UTF-8''a%0D%0Aset-cookie%3A%20x.png"],
    ["\ud800.png", "filename=\"_.png\"; filename*=UTF-8''%EF%BF%BD.png"],
  ])("%j becomes %s", (name, header) => {
    expect(dispositionName(name)).toBe(header);
    expect(() => new Headers({ "content-disposition": header })).not.toThrow();
  });

  it.each(["text/html", "text/javascript", "application/javascript", "text/css", "text/xml", "application/xml", "application/xhtml+xml", "application/rss+xml", "text/x-javascript", "multipart/x-mixed-replace"])("[CF23] %s could act, so it is never shown in place", (type) => {
    expect(ACTIVE.test(type)).toBe(true);
  });
  it.each(["image/png", "image/webp", "video/mp4", "audio/flac", "text/plain", "application/json", "model/gltf-binary", "application/octet-stream"])("%s is shown in place", (type) => {
    expect(ACTIVE.test(type)).toBe(false);
  });
  it.each(["", "image", "image/png\r\nx: y", "image/ png", "text/html,image/png", "ä/b"])("%j is no media type", (type) => expect(MIME.test(type)).toBe(false));
});

describe("refusals as HTTP", () => {
  const table: [RefusalReason, number, number][] = [
    ["no_such_workshop", 404, 404], ["no_such_seat", 404, 404], ["not_found", 404, 404], ["bad_request", 400, 400], ["forbidden", 403, 403], ["exists", 409, 409],
    ["idempotency_conflict", 409, 409], ["id_taken", 409, 409], ["not_admitting", 409, 409], ["payload_too_large", 413, 413], ["invalid_prompt", 400, 400],
    ["unknown_node", 400, 422], ["unknown_model", 400, 422], ["input_missing", 400, 422], ["seat_queue_full", 429, 429], ["queue_full", 429, 429], ["budget_exhausted", 402, 402],
    ["illegal_transition", 409, 409], ["unknown_mode", 400, 400], ["duplicate", 409, 409], ["superseded", 409, 409], ["finished", 409, 409], ["quarantined", 409, 409],
    ["gone", 410, 410], ["stale", 409, 409], ["conflict", 409, 409],
  ];

  it.each(table)("%s is %i at a seat and %i elsewhere", (reason, seat, elsewhere) => {
    expect([statusOf(reason, "seat"), statusOf(reason, "runner"), statusOf(reason, "ops")]).toEqual([seat, elsewhere, elsewhere]);
  });

  it("a reason nobody knows is a fault of ours", () => {
    expect(() => statusOf("nonsense" as RefusalReason, "seat")).toThrow(/unhandled/);
  });

  it("[Q15] every door has its shape, and a full queue says when to come back", async () => {
    const refusal = { ok: false, reason: "seat_queue_full", message: "Ten of your prompts wait already.", retry_after_s: 12, limit: 10, current: 10 } as const;
    const seat = refuse(refusal, "seat");
    expect([seat.status, seat.headers.get("retry-after")]).toEqual([429, "12"]);
    expect(await seat.json()).toEqual({ error: { type: "seat_queue_full", message: refusal.message, details: "", extra_info: { retry_after_s: 12, limit: 10, current: 10 } }, node_errors: {} });
    expect(await refuse(refusal, "runner").json()).toEqual({ reason: "seat_queue_full", message: refusal.message });
    expect(await refuse(refusal, "ops").json()).toMatchObject({ error: { reason: "seat_queue_full", message: refusal.message } });
  });
});
