// The shipped templates in the stock page: a GPU that has what they need reports itself, and each opens from its link as the prompt it was written to be.
import { describe, expect, test } from "vitest";
import { TEMPLATES } from "../../../frontend-shim/comfy-api/templates/index.ts";
import { canonicalJson, sha256Hex } from "../../../gpu-adapter/canonical.ts";
import { gpuFor, namesIn, promptOf, workflowOf } from "../../core/templates/kit.ts";
import type { Room } from "../support/room.ts";
import { Stage } from "./stage.ts";

type Prompt = Record<string, { class_type: string; inputs: Record<string, unknown> }>;
const POOL = "large";
/** The catalog's numbers as JavaScript has them; the page reads them so too. */
const gpu = gpuFor(TEMPLATES);

/** The sandbox, which has none of it, makes room for a GPU that has all. */
async function introduce({ origin, operatorToken }: Room): Promise<void> {
  const send = async <T>(method: string, path: string, token: string, body: object): Promise<T> => {
    const answer = await fetch(`${origin}${path}`, { method, headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  };
  await send("PUT", `/ops/v1/workshops/demo/pools/${POOL}`, operatorToken, { provider: "pull", max_in_flight: 1 });
  const { token } = await send<{ token: string }>("POST", `/ops/v1/workshops/demo/pools/${POOL}/token`, operatorToken, {});
  const folders = [...new Set(TEMPLATES.flatMap(({ models }) => models.map(({ folder }) => folder)))];
  const rest = {
    object_info: JSON.parse(JSON.stringify(gpu.object_info)) as Record<string, object>, extensions: [], web_files: [], i18n: {}, workflow_templates: {}, embeddings: [],
    models: Object.fromEntries(folders.map((folder) => [folder, namesIn(TEMPLATES, folder)])), system_stats: { system: { comfyui_version: "0.3.64" } }, features: {},
  };
  await send("POST", `/runner/v1/demo/pools/${POOL}/catalog`, token, { digest: await sha256Hex(canonicalJson(rest)), ...rest });
  await send("DELETE", "/ops/v1/workshops/demo/pools/local", operatorToken, {});
}

describe.each(["1.58.1", "1.37.11"])("templates in the stock frontend %s", (version) => {
  const stage = new Stage(version);

  type Listed = { name: string; description: string };
  const listed = async (): Promise<Listed[]> => (await stage.room.client(1).json<{ templates: Listed[] }[]>("/templates/index.json"))[0]?.templates ?? [];

  test("the template browser lists them, and says what the GPUs lack for them", async () => {
    expect((await listed()).map(({ name }) => name)).toEqual(["text_to_picture_sandbox", ...TEMPLATES.map(({ name }) => name)]);
    for (const { description } of (await listed()).slice(1)) expect(description).toMatch(/ Not in this workshop yet: its GPUs lack \w+\/\S+\.safetensors, /);
    await introduce(stage.room);
    await expect.poll(async () => (await listed()).slice(1).map(({ description }) => description), { timeout: 10_000 }).toEqual(TEMPLATES.map(({ description }) => description));
  });

  test("each opens from its link, whole, and becomes the prompt it was written to be", async () => {
    const seat = await stage.seated();
    for (const template of TEMPLATES) {
      await seat.quiet();
      await seat.page.goto(`${seat.access.url}?template=${template.name}`);
      await seat.ready();
      const nodes = workflowOf(template).nodes.length;
      await seat.until(`${template.name} to open`, (count) => window.app.graph.nodes.length === count, nodes);
      const found = await seat.page.evaluate(async () => ((await (window.app as unknown as { graphToPrompt(): Promise<{ output: unknown }> }).graphToPrompt()).output)) as Prompt;
      const told = Object.fromEntries(Object.entries(found).map(([id, { class_type, inputs }]) => [id, { class_type, inputs }]));
      expect(told).toEqual(promptOf(workflowOf(template), gpu));
    }
    await stage.leave(seat);
  });

  test("a seat can submit one: it waits for the GPU that has its models", async () => {
    const prompt = promptOf(workflowOf(TEMPLATES[0]!), gpu);
    const answer = await stage.room.client(2).fetch("/prompt", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ prompt }) });
    expect([answer.status, JSON.stringify(await answer.json())]).toEqual([200, expect.stringContaining("node_errors\":{}")]);
  });

  test("the operator is told which pool runs which", async () => {
    const answer = await fetch(`${stage.room.origin}/ops/v1/workshops/demo/templates`, { headers: { authorization: `Bearer ${stage.room.operatorToken}` } });
    const { templates } = (await answer.json()) as { templates: { name: string; runs_on: string[] }[] };
    expect(templates.map(({ name, runs_on }) => [name, runs_on])).toEqual(TEMPLATES.map(({ name }) => [name, [POOL]]));
  });
});
