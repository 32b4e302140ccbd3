// What a shipped template needs of a GPU: model files by folder and name, with size and licence where known, and node classes; and which pools have it. Pure.
export type ModelFile = {
  /** ComfyUI's folder name below models/. */
  folder: string;
  name: string;
  /** Bytes, rounded as published; null where unknown. */
  size: number | null;
  licence: string;
  /** Not needed for the graph as it is; it is there for a choice that the note names. */
  optional?: true;
};
export type Template = {
  /** File name without its ending; also in `?template=`. */
  name: string;
  title: string;
  description: string;
  media: "image" | "video";
  tags: readonly string[];
  models: readonly ModelFile[];
  workflow: () => Record<string, unknown>;
};

/** What is known of a pool's ComfyUI. */
export type PoolCatalogFacts = { pool: string; nodes: ReadonlySet<string>; /** folder → names */ models: ReadonlyMap<string, ReadonlySet<string>> };
export type PoolVerdict = { pool: string; runs: boolean; missing_nodes: string[]; missing_models: string[] };
/** `accepted`: every pool has what it needs, so that a prompt passes the check at the door; `lacks`: what is missing for that. */
export type TemplateVerdict = { name: string; title: string; accepted: boolean; runs_on: string[]; lacks: string[]; pools: PoolVerdict[]; models: (ModelFile & { on: string[] })[]; nodes: string[]; says: string };

/** Nodes of the page itself, which no GPU has to know. */
const PAGE_NODES = new Set(["Note", "MarkdownNote"]);

export function nodeClasses(template: Template): string[] {
  const nodes = template.workflow().nodes as { type: string }[];
  return [...new Set(nodes.map(({ type }) => type))].filter((type) => !PAGE_NODES.has(type)).sort();
}

export function checkTemplate(template: Template, pools: readonly PoolCatalogFacts[]): TemplateVerdict {
  const classes = nodeClasses(template);
  const verdicts = pools.map((facts): PoolVerdict => {
    const missing_nodes = classes.filter((name) => !facts.nodes.has(name));
    const missing_models = template.models.filter((model) => model.optional !== true && !has(facts, model)).map(({ folder, name }) => `${folder}/${name}`);
    return { pool: facts.pool, runs: missing_nodes.length + missing_models.length === 0, missing_nodes, missing_models };
  });
  const runs_on = verdicts.filter(({ runs }) => runs).map(({ pool }) => pool);
  return {
    name: template.name,
    title: template.title,
    accepted: pools.length > 0 && runs_on.length === pools.length,
    runs_on,
    lacks: [...new Set(verdicts.flatMap(lacking))],
    pools: verdicts,
    models: template.models.map((model) => ({ ...model, on: pools.filter((facts) => has(facts, model)).map(({ pool }) => pool) })),
    nodes: classes,
    says: sentence(template, verdicts, runs_on),
  };
}

/** A list for a tile: a ComfyUI that is too old lacks a dozen nodes. */
export function inShort(lacks: readonly string[]): string {
  const nodes = lacks.filter((name) => name.startsWith("node "));
  return nodes.length <= 2 ? lacks.join(", ") : [...lacks.filter((name) => !nodes.includes(name)), `${nodes.length} kinds of nodes`].join(", ");
}

function lacking({ missing_models, missing_nodes }: PoolVerdict): string[] {
  return [...missing_models, ...missing_nodes.map((name) => `node ${name}`)];
}

/** By its whole name: in a folder below, the node's choice is another one. */
function has({ models }: PoolCatalogFacts, { folder, name }: ModelFile): boolean {
  return models.get(folder)?.has(name) === true;
}

function sentence({ title }: Template, verdicts: readonly PoolVerdict[], runsOn: readonly string[]): string {
  if (verdicts.length === 0) return `${title}: no GPU has told yet what it has.`;
  if (runsOn.length === verdicts.length) return `${title} runs on ${runsOn.join(", ")}.`;
  const gaps = verdicts.filter(({ runs }) => !runs).map((verdict) => `${verdict.pool} lacks ${inShort(lacking(verdict))}`);
  return runsOn.length === 0
    ? `${title} runs on no GPU of this workshop: ${gaps.join("; ")}.`
    : `${title} runs on ${runsOn.join(", ")}, but its prompts are refused until every pool has what it needs: ${gaps.join("; ")}.`;
}
