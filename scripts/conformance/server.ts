// A server under comparison: where it is, who asks, and which of the recorder's test nodes it has an equivalent for.
import { type Node, translateNode } from "../../test/conformance/sandbox-replay.ts";

export type Server = { name: string; base: string; headers: Record<string, string>; /** null: it has no node that takes steps or fails on demand */ nodes: "edge" | "sandbox" | null; /** false: a bare GPU that keeps nothing of a user's */ keeps: boolean };

/** Looks whether a ComfyUI answers there; throws a sentence when not. `name` is how it is called in reports. */
export async function openServer(name: string, address: string, headers: Record<string, string>): Promise<Server> {
  const base = address.replace(/\/+$/, "");
  const answer = await fetch(`${base}/api/object_info`, { headers, redirect: "manual", signal: AbortSignal.timeout(60_000) }).catch((error: unknown) => String(error instanceof Error ? (error.cause ?? error) : error));
  if (typeof answer === "string" || answer.status !== 200) throw new Error(`${address} does not answer as ComfyUI does (${typeof answer === "string" ? answer : `status ${answer.status}`}). Give the address of a ComfyUI, or of a seat with --user and --password.`);
  const classes = (await answer.json()) as Record<string, unknown>;
  const settings = await fetch(`${base}/api/settings/No.Such.Setting`, { headers, redirect: "manual" });
  return { name, base, headers, keeps: settings.ok, nodes: "EdgeSteps" in classes ? "edge" : "SandboxSleep" in classes ? "sandbox" : null };
}

/** The recorder's node as this server has it. Colours and seeds move by `salt`, so that a scenario can be played again on a server that remembers. */
export function translator(server: Server, salt: number): (node: Node) => Node | undefined {
  return (recorded) => {
    const node = salted(recorded, salt);
    if (server.nodes === "edge" || node.class_type?.startsWith("Edge") !== true) return node;
    if (server.nodes === "sandbox") return translateNode(node);
    // A stock server has nothing that takes steps: the same graph without them.
    return node.class_type === "EdgeSteps" ? { class_type: "ImageInvert", inputs: { image: node.inputs?.["image"] } } : undefined;
  };
}

function salted(node: Node, salt: number): Node {
  const color = node.inputs?.["color"];
  return node.class_type === "EmptyImage" && typeof color === "number" ? { ...node, inputs: { ...node.inputs, color: (color + salt) % 0xffffff } } : node;
}
