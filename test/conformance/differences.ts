// Where a seat means to answer otherwise than the recorded ComfyUI 0.3.64. Each row names what it does instead, and stands with its reason in
// docs/conformance.md under the same id; a test fails when one of the two is missing, or when a seat no longer differs.
import type { Exchange } from "./exchanges.ts";

export type Difference = {
  id: string;
  matches(exchange: Exchange): boolean;
  /** What the seat answers; members left out are as recorded or of no matter. */
  instead: { status: number; body?: unknown; type?: string; static?: true };
};

const at = (file: string, method: string, path: string | RegExp) => (exchange: Exchange) =>
  exchange.file === file && exchange.method === method && (typeof path === "string" ? exchange.path === path : path.test(exchange.path));

export const DIFFERENCES: Difference[] = [
  { id: "D1", matches: (exchange) => exchange.method === "GET" && exchange.path === "/api/userdata/user.css", instead: { status: 200, body: "" } },
  { id: "D2", matches: at("http-userdata", "POST", /\/move\/\.\.%2F/), instead: { status: 403, body: "" } },
  { id: "D3", matches: at("http-settings-users", "POST", "/api/users"), instead: { status: 400, type: "application/json" } },
  { id: "D4", matches: at("http-misc", "GET", /^\/api\/view_metadata\/checkpoints\?filename=sd15-fake/), instead: { status: 404, body: "" } },
  { id: "D5", matches: at("http-misc", "GET", /^\/api\/experiment\/models\/checkpoints$/), instead: { status: 200, body: [{ name: "sd15-fake.safetensors", pathIndex: 0 }, { name: "sub/sdxl-fake.safetensors", pathIndex: 0 }] } },
  { id: "D6", matches: at("http-misc", "GET", /^\/(?:templates\/index\.json)$/), instead: { status: 200, type: "application/json" } },
  { id: "D7", matches: at("http-misc", "GET", /^\/api\/(?:global_subgraphs|node_replacements)$/), instead: { status: 200, body: {} } },
  { id: "D8", matches: at("http-misc", "GET", "/api/assets"), instead: { status: 503, type: "application/json" } },
  { id: "D9", matches: at("http-misc", "GET", "/api/extensions"), instead: { status: 200, body: ["/extensions/comfyume/own-storage.js", "/extensions/edge_test_nodes/edge_test.js"] } },
  { id: "D10", matches: (exchange) => exchange.file === "validation-errors" && exchange.note === "custom validation message", instead: { status: 200, type: "application/json" } },
  { id: "D11", matches: (exchange) => exchange.file === "validation-errors" && (exchange.note === "body is not JSON" || exchange.note === "prompt is null"), instead: { status: 400, type: "application/json" } },
  { id: "D12", matches: at("http-misc", "GET", "/api/"), instead: { status: 404, body: "" } },
  { id: "D13", matches: at("http-misc", "GET", /^\/(?:api\/)?experiment\/models$|^\/internal\/folder_paths$/), instead: { status: 200, type: "application/json" } },
  { id: "D14", matches: (exchange) => exchange.file === "http-userdata" && exchange.note === "read", instead: { status: 200, body: { a: 4 }, type: "application/json" } },
  { id: "D15", matches: (exchange) => exchange.file === "http-userdata" && exchange.note === "delete a folder", instead: { status: 404, body: "" } },
];

export function differenceOf(exchange: Exchange): Difference | undefined {
  return DIFFERENCES.find((difference) => difference.matches(exchange));
}
