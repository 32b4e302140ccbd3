// Holds the current catalog and brings it to the platform when that wants it: the report first, then the web files it lacks.
import type { Box } from "./box.ts";
import { type Catalog, collectCatalog } from "./catalog.ts";
import { type Log, words } from "./log.ts";
import type { PoolRoutes } from "./platform.ts";

export class CatalogKeeper {
  readonly #box: Box;
  readonly #log: Log;
  #catalog: Catalog | null = null;
  #publishing: Promise<void> | null = null;

  constructor(box: Box, log: Log) {
    this.#box = box;
    this.#log = log;
  }

  get digest(): string | undefined {
    return this.#catalog?.report.digest;
  }

  get catalog(): Catalog | null {
    return this.#catalog;
  }

  /** Asks ComfyUI anew; true when the answer differs from before. Throws ComfyError. */
  async refresh(): Promise<boolean> {
    const { objectInfo, ...catalog } = await collectCatalog(this.#box.comfy);
    this.#box.learn(objectInfo);
    const changed = catalog.report.digest !== this.digest;
    this.#catalog = catalog;
    if (changed) this.#log("catalog", { digest: catalog.report.digest.slice(0, 16), nodes: Object.keys(objectInfo).length, web_files: catalog.webFiles.size });
    return changed;
  }

  /** Posts the catalog and the files the platform lacks; one at a time, throws what the last call threw. */
  publish(routes: PoolRoutes): Promise<void> {
    this.#publishing ??= this.#publish(routes).finally(() => {
      this.#publishing = null;
    });
    return this.#publishing;
  }

  async #publish(routes: PoolRoutes): Promise<void> {
    const catalog = this.#catalog;
    if (catalog === null) return;
    const { want_files } = await routes.catalog(catalog.report, catalog.objectInfoText);
    for (const path of want_files) {
      const file = catalog.webFiles.get(path);
      if (file === undefined) continue;
      await routes.webFile(catalog.report.digest, path, file.content, file.contentType).catch((error: unknown) => this.#log("web_file_unsent", { path, error: words(error) }));
    }
    this.#log("catalog_posted", { digest: catalog.report.digest.slice(0, 16), files: want_files.length });
  }
}
