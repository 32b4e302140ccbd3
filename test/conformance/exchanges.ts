// Recorded HTTP exchanges and how two answers to the same request are compared: what no two servers agree on is taken out, everything else must be equal.
// Pure, so that the same comparison serves a seat in workerd and any server over the network.

export type Exchange = {
  file: string;
  /** The recording's own words for this case; notes hold until the next one. */
  note: string;
  method: string;
  path: string;
  requestHeaders: Record<string, string>;
  requestBody: unknown;
  status: number;
  headers: Record<string, string>;
  json?: unknown;
  text?: string;
  /** The first bytes of a binary body. */
  head?: string;
};

type Event = {
  dir: string; text?: string; method?: string; path?: string; request_headers?: Record<string, string>; request_body?: unknown; status?: number;
  response_headers?: Record<string, string>; response_json?: unknown; response_text?: string; response_head_hex?: string;
};

/** The HTTP exchanges of a recording, in order. */
export function exchangesOf(file: string, text: string): Exchange[] {
  const { events } = JSON.parse(text) as { events: Event[] };
  let note = "";
  return events.flatMap((event): Exchange[] => {
    if (event.dir === "note") note = event.text ?? "";
    if (event.dir !== "http") return [];
    return [{
      file, note, method: event.method ?? "GET", path: event.path ?? "/", requestHeaders: lower(event.request_headers ?? {}), requestBody: event.request_body, status: event.status ?? 0, headers: lower(event.response_headers ?? {}),
      ...("response_json" in event ? { json: event.response_json } : {}), ...(event.response_text === undefined ? {} : { text: event.response_text }), ...(event.response_head_hex ? { head: event.response_head_hex } : {}),
    }];
  });
}

export type Answer = { status: number; headers: Record<string, string>; bytes: Uint8Array };
/** What is compared of an answer. */
export type Essence = { status: number; type: string | null; disposition: string | null; range: string | null; allow: string | null; body: unknown };

/** How the body of this exchange is compared. */
export type BodyRule =
  /** JSON as it is, times aside */ | "exact"
  /** JSON list in any order */ | "any-order"
  /** JSON of the same kind (object, list, text …): the contents are that server's own */ | "kind"
  /** the first bytes that tell a picture's format */ | "format";

/** The recorded answer, reduced. */
export function essenceOfRecorded(exchange: Exchange, rule: BodyRule): Essence {
  const empty = !("json" in exchange) && !exchange.text && !exchange.head && exchange.method !== "HEAD";
  const body = "json" in exchange ? reduceJson(exchange.json, rule) : exchange.head === undefined ? reduceText(exchange.text ?? "", rule) : reduceHead(exchange.head, rule);
  return { status: exchange.status, ...headersOf(exchange.headers, exchange.status, empty), body };
}

/** An answer given now, reduced in the same way. */
export function essenceOf(exchange: Exchange, answer: Answer, rule: BodyRule): Essence {
  const text = new TextDecoder().decode(answer.bytes);
  const base = { status: answer.status, ...headersOf(answer.headers, answer.status, answer.bytes.byteLength === 0 && exchange.method !== "HEAD") };
  if (exchange.head !== undefined) {
    const hex = [...answer.bytes.subarray(0, exchange.head.length / 2)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return { ...base, body: reduceHead(hex, rule) };
  }
  return { ...base, body: base.type === "application/json" && text !== "" && rule !== "kind" ? reduceJson(JSON.parse(text), rule) : reduceText(text, rule) };
}

function headersOf(headers: Record<string, string>, status: number, empty: boolean): Omit<Essence, "status" | "body"> {
  // 304 and empty answers: Python's server still names a type now and then, which nobody reads.
  const type = status === 304 || empty ? null : (headers["content-type"] ?? null);
  return {
    type: type === null ? null : (type.split(";")[0] ?? null),
    disposition: status === 304 ? null : (headers["content-disposition"]?.replace(/^attachment; /, "").replace(/; filename\*=.*$/, "") ?? null),
    range: headers["content-range"]?.replace(/\/\d+$/, "/N") ?? null,
    allow: headers["allow"] ?? null,
  };
}

/** Long bodies are cut in the recordings, so their kind is told by how they begin. */
function reduceText(text: string, rule: BodyRule): string {
  if (rule !== "kind") return text;
  return text.startsWith("{") ? "object" : text.startsWith("[") ? "list" : text.startsWith('"') ? "string" : text;
}

/** Times are told apart by their size: float seconds before, whole milliseconds after 1e11. */
function reduceJson(value: unknown, rule: BodyRule): unknown {
  if (rule === "kind") return Array.isArray(value) ? "list" : value === null ? "null" : typeof value;
  const timeless = withoutTimes(value);
  return rule === "any-order" && Array.isArray(timeless) ? timeless.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : timeless;
}

function withoutTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTimes);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, (key === "modified" || key === "created") && typeof member === "number" ? (member < 1e11 ? "seconds" : "milliseconds") : withoutTimes(member)]));
}

/** PNG and JPEG by their first bytes, WebP by its two words. */
function reduceHead(hex: string, rule: BodyRule): string {
  if (rule === "kind") return "bytes";
  if (rule !== "format") return hex;
  if (hex.startsWith("89504e47")) return "png";
  if (hex.startsWith("ffd8ff")) return "jpeg";
  return hex.startsWith("52494646") && hex.slice(16, 24) === "57454250" ? "webp" : hex;
}

function lower(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
