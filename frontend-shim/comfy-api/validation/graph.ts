// A whole graph: is every class known, which outputs were asked for, which of them can run. Invariant: a prompt with at least one
// good output is accepted, and everything wrong with the others is told.
import { isObject, own } from "../catalog/json.ts";
import { nodeShape } from "../catalog/node-shapes.ts";
import type { Catalog, Json, JsonObject } from "../catalog/types.ts";
import { exceptionDuringValidation, promptError } from "./errors.ts";
import { type NodeResult, type Run, validateNode } from "./node-inputs.ts";
import { PythonError, str } from "./python.ts";
import type { ComfyError, NodeError, NodeErrors, Prompt, ValidationContext, Vocabulary } from "./types.ts";

export type GraphVerdict =
  | { readonly ok: true; readonly prompt: Prompt; readonly outputs: readonly string[]; readonly nodeErrors: NodeErrors }
  | { readonly ok: false; readonly error: ComfyError; readonly nodeErrors: NodeErrors };

type Graph = { readonly [nodeId: string]: Json };

function missingClass(id: string, node: Json, vocabulary: Vocabulary): ComfyError {
  if (vocabulary === "0.3.64") return promptError("invalid_prompt", "Cannot execute because a node is missing the class_type property.", `Node ID '#${id}'`);
  const title = titleOf(node);
  const shown = title === null || title === "" ? `ID #${id}` : str(title);
  return promptError("missing_node_type", `Node '${shown}' has no class_type. The workflow may be corrupted or a custom node is missing.`, `Node ID '#${id}'`, {
    node_id: id,
    class_type: null,
    node_title: title,
  });
}

function titleOf(node: Json): Json {
  const meta = isObject(node) ? node["_meta"] : undefined;
  return isObject(meta) ? (meta["title"] ?? null) : null;
}

function unknownClass(id: string, node: JsonObject, classType: Json, vocabulary: Vocabulary): ComfyError {
  if (vocabulary === "0.3.64") return promptError("invalid_prompt", `Cannot execute because node ${str(classType)} does not exist.`, `Node ID '#${id}'`);
  const title = isObject(node["_meta"]) && Object.hasOwn(node["_meta"], "title") ? titleOf(node) : classType;
  return promptError("missing_node_type", `Node '${str(title)}' not found. The custom node may not be installed.`, `Node ID '#${id}'`, {
    node_id: id,
    class_type: classType,
    node_title: title,
  });
}

/** The output nodes to run, or the refusal that ends it here. */
function findOutputs(graph: Graph, catalog: Catalog, vocabulary: Vocabulary, targets: readonly Json[] | undefined): { outputs: string[] } | { error: ComfyError; unknown: boolean } {
  const outputs: string[] = [];
  for (const [id, node] of Object.entries(graph)) {
    const classType = isObject(node) ? own(node, "class_type") : undefined;
    if (classType === undefined || !isObject(node)) return { error: missingClass(id, node, vocabulary), unknown: false };
    const shape = typeof classType === "string" ? nodeShape(catalog, classType) : undefined;
    if (shape === undefined) return { error: unknownClass(id, node, classType, vocabulary), unknown: true };
    if (shape.isOutput && (targets === undefined || targets.includes(id))) outputs.push(id);
  }
  return outputs.length > 0 ? { outputs } : { error: promptError("prompt_no_outputs", "Prompt has no outputs", ""), unknown: false };
}

function validateOutput(run: Run, id: string): NodeResult {
  try {
    return validateNode(run, id);
  } catch (error) {
    if (!(error instanceof PythonError)) throw error;
    const result: NodeResult = { ok: false, errors: [exceptionDuringValidation(error)] };
    run.validated.set(id, result);
    return result;
  } finally {
    run.path.length = 0;
  }
}

type Findings = Map<string, { errors: readonly ComfyError[]; dependents: string[]; classType: string }>;

/** ComfyUI blames a failed output on every faulty node seen so far, whether it lies upstream or not [R "two outputs, both bad"]. */
function blame(run: Run, output: string, findings: Findings): void {
  for (const [id, result] of run.validated) {
    if (result.ok || result.errors.length === 0) continue;
    let found = findings.get(id);
    if (found === undefined) findings.set(id, (found = { errors: result.errors, dependents: [], classType: String(own(run.prompt, id)?.["class_type"]) }));
    found.dependents.push(output);
  }
}

function nodeErrorsOf(findings: Findings): NodeErrors {
  return Object.fromEntries([...findings].map(([id, found]): [string, NodeError] => [id, { errors: found.errors, dependent_outputs: found.dependents, class_type: found.classType }]));
}

function coercedPrompt(run: Run): Prompt {
  if (run.coerced.size === 0) return run.prompt as Prompt;
  const nodes = Object.entries(run.prompt).map(([id, node]): [string, JsonObject] => {
    const changed = run.coerced.get(id);
    return [id, changed === undefined ? node : { ...node, inputs: { ...(node["inputs"] as JsonObject), ...changed } }];
  });
  return Object.fromEntries(nodes) as Prompt;
}

/**
 * Judges a graph in API format. `targets` limits the outputs to run (`partial_execution_targets`).
 * `unknown` in the answer tells a refusal for a class no GPU has from other ones.
 */
export function validateGraph(graph: Graph, context: ValidationContext, vocabulary: Vocabulary, targets: readonly Json[] | undefined): GraphVerdict & { unknown?: boolean } {
  const found = findOutputs(graph, context.catalog, vocabulary, targets);
  if ("error" in found) return { ok: false, error: found.error, nodeErrors: {}, unknown: found.unknown };
  const run: Run = { context, vocabulary, prompt: graph as { readonly [nodeId: string]: JsonObject }, validated: new Map(), coerced: new Map(), path: [] };
  const good: string[] = [];
  const texts: string[] = [];
  const findings: Findings = new Map();
  for (const output of found.outputs) {
    const result = validateOutput(run, output);
    if (result.ok) {
      good.push(output);
      continue;
    }
    texts.push(...result.errors.map((error) => `${error.message}: ${error.details}`));
    blame(run, output, findings);
  }
  const nodeErrors = nodeErrorsOf(findings);
  if (good.length > 0) return { ok: true, prompt: coercedPrompt(run), outputs: good, nodeErrors };
  return { ok: false, error: promptError("prompt_outputs_failed_validation", "Prompt outputs failed validation", texts.join("\n")), nodeErrors };
}
