// Which of the shipped templates this workshop's GPUs can run, and what is missing, from what the GPUs reported.
import type { PoolCatalog } from "../../durable-objects/contract.ts";
import { reportsOf } from "./catalog-source.ts";
import type { Report } from "./catalog-source.ts";
import { checkTemplate, type PoolCatalogFacts, TEMPLATES, type TemplateVerdict } from "./templates/index.ts";

/** One verdict per template, over every pool that has ever reported. */
export async function templateVerdicts(files: R2Bucket, pools: readonly PoolCatalog[]): Promise<TemplateVerdict[]> {
  const facts = (await reportsOf(files, pools)).map(({ pool, report }) => factsOf(pool, report));
  return TEMPLATES.map((template) => checkTemplate(template, facts));
}

export function factsOf(pool: string, { catalog }: Pick<Report, "catalog">): PoolCatalogFacts {
  return { pool, nodes: new Set(Object.keys(catalog.object_info)), models: new Map(Object.entries(catalog.models).map(([folder, names]) => [folder, new Set(names)])) };
}
