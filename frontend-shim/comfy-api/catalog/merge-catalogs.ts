// One workshop, several kinds of GPU: what is shown is what any of them has, what is accepted is what all of them have, and how many
// have each node and model is kept. Invariant: with one catalog both views are that catalog itself.
import { isObject, own } from "./json.ts";
import { inheritTexts } from "./object-info-text.ts";
import type { Catalog, InputSection, InputSpec, Json, JsonObject, NodeInfo, ObjectInfo } from "./types.ts";

export type PoolCatalog = { readonly pool: string; readonly catalog: Catalog };

export type MergedCatalogs = {
  /** What a page is shown: nodes, choices and models that at least one pool has. */
  readonly shown: Catalog;
  /** What a prompt is held against: what every pool has. */
  readonly checked: Catalog;
  /** Pool ids in the order given. */
  readonly pools: readonly string[];
  /** Pools that have a node class. */
  readonly nodePools: ReadonlyMap<string, readonly string[]>;
  /** Pools that have a model, under `folder/name`. */
  readonly modelPools: ReadonlyMap<string, readonly string[]>;
};

type Choose = (lists: readonly (readonly Json[])[]) => readonly Json[];

function union(lists: readonly (readonly Json[])[]): readonly Json[] {
  return [...new Map(lists.flat().map((item) => [JSON.stringify(item), item])).values()];
}

function intersection(lists: readonly (readonly Json[])[]): readonly Json[] {
  const others = lists.slice(1).map((list) => new Set(list.map((item) => JSON.stringify(item))));
  return (lists[0] ?? []).filter((item) => others.every((other) => other.has(JSON.stringify(item))));
}

function optionsOf(spec: InputSpec): readonly Json[] | undefined {
  const listed = spec[0] === "COMBO" ? spec[1]?.["options"] : spec[0];
  return Array.isArray(listed) ? (listed as readonly Json[]) : undefined;
}

/** The first pool's spec, with the choices of all. */
function mergeSpec(first: InputSpec, others: readonly InputSpec[], choose: Choose): InputSpec {
  const specs = [first, ...others];
  const lists = specs.map(optionsOf).filter((list) => list !== undefined);
  if (lists.length < 2 || optionsOf(first) === undefined) return first;
  const choices = choose(lists);
  if (first[0] === "COMBO") return ["COMBO", { ...first[1], options: choices }];
  return first[1] === undefined ? [choices] : [choices, first[1]];
}

function mergeSection([first, ...others]: readonly (InputSection | undefined)[], choose: Choose): InputSection {
  const same = (name: string): InputSpec[] => others.map((section) => own(section, name)).filter((spec) => spec !== undefined);
  return Object.fromEntries(Object.entries(first ?? {}).map(([name, spec]) => [name, mergeSpec(spec, same(name), choose)]));
}

function mergeNode(infos: readonly NodeInfo[], choose: Choose): NodeInfo {
  const [first] = infos;
  if (first === undefined || infos.length === 1) return first ?? {};
  const { required, optional } = first.input ?? {};
  const input = {
    ...first.input,
    ...(required === undefined ? {} : { required: mergeSection(infos.map((info) => info.input?.required), choose) }),
    ...(optional === undefined ? {} : { optional: mergeSection(infos.map((info) => info.input?.optional), choose) }),
  };
  return { ...first, input };
}

function mergeObjectInfo(catalogs: readonly Catalog[], names: readonly string[], choose: Choose): ObjectInfo {
  const merged = Object.fromEntries(names.map((name) => [name, mergeNode(catalogs.map((catalog) => own(catalog.object_info, name)).filter((info) => info !== undefined), choose)]));
  inheritTexts(merged, catalogs.map((catalog) => catalog.object_info));
  return merged;
}

function mergeLists(lists: readonly { readonly [name: string]: readonly string[] }[], choose: Choose): { [name: string]: string[] } {
  const names = new Set(lists.flatMap((list) => Object.keys(list)));
  return Object.fromEntries([...names].map((name) => [name, choose(lists.map((list) => own(list, name) ?? [])) as string[]]));
}

/** Deep union of translations; the first pool's word stands. */
function mergeTexts(first: JsonObject, second: JsonObject): JsonObject {
  const merged = Object.entries(second).map(([key, value]): [string, Json] => {
    const mine = own(first, key);
    if (mine === undefined) return [key, value];
    return [key, isObject(mine) && isObject(value) ? mergeTexts(mine, value) : mine];
  });
  return { ...first, ...Object.fromEntries(merged) };
}

function combine(catalogs: readonly Catalog[], first: Catalog, nodes: readonly string[], choose: Choose, digest: string): Catalog {
  return {
    object_info: mergeObjectInfo(catalogs, nodes, choose),
    extensions: union(catalogs.map((catalog) => catalog.extensions)) as string[],
    i18n: catalogs.map((catalog) => catalog.i18n).reduce(mergeTexts),
    templates: mergeLists(catalogs.map((catalog) => catalog.templates), union),
    embeddings: choose(catalogs.map((catalog) => catalog.embeddings)) as string[],
    models: mergeLists(catalogs.map((catalog) => catalog.models), choose),
    versions: first.versions,
    digest,
    validators: Object.assign({}, ...catalogs.map((catalog) => catalog.validators ?? {}).reverse()) as NonNullable<Catalog["validators"]>,
  };
}

function countPools(list: readonly PoolCatalog[], namesOf: (catalog: Catalog) => Iterable<string>): Map<string, string[]> {
  const pools = new Map<string, string[]>();
  for (const { pool, catalog } of list) {
    for (const name of namesOf(catalog)) {
      const known = pools.get(name);
      if (known === undefined) pools.set(name, [pool]);
      else known.push(pool);
    }
  }
  return pools;
}

/** `folder/name` of every model of a catalog. */
function modelPaths(catalog: Catalog): string[] {
  return Object.entries(catalog.models).flatMap(([folder, names]) => names.map((name) => `${folder}/${name}`));
}

/** Merges the catalogs of a workshop's pools; undefined when no pool has reported one yet. Pools with one digest count as one. */
export function mergeCatalogs(list: readonly PoolCatalog[]): MergedCatalogs | undefined {
  const [first] = list;
  if (first === undefined) return undefined;
  const nodePools = countPools(list, (catalog) => Object.keys(catalog.object_info));
  const base = { pools: list.map((entry) => entry.pool), nodePools, modelPools: countPools(list, modelPaths) };
  const distinct = [...new Map(list.map((entry) => [entry.catalog.digest, entry.catalog])).values()];
  if (distinct.length === 1) return { ...base, shown: first.catalog, checked: first.catalog };
  const everywhere = [...nodePools].filter(([, pools]) => pools.length === list.length).map(([name]) => name);
  const digests = distinct.map((catalog) => catalog.digest).join("+");
  return {
    ...base,
    shown: combine(distinct, first.catalog, [...nodePools.keys()], union, `any:${digests}`),
    checked: combine(distinct, first.catalog, everywhere, intersection, `all:${digests}`),
  };
}

/** "on 1 of 3 GPUs": how far a node or model is known, for a tooltip or an error; undefined when every pool has it. */
export function onSomeGpus(merged: MergedCatalogs, what: { readonly node: string } | { readonly folder: string; readonly model: string }): string | undefined {
  const having = "node" in what ? merged.nodePools.get(what.node) : merged.modelPools.get(`${what.folder}/${what.model}`);
  const count = having?.length ?? 0;
  return count === merged.pools.length ? undefined : `on ${count} of ${merged.pools.length} GPUs`;
}
