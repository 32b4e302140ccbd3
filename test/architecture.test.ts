// The rings of docs/architecture.md, read from the imports: an arrow that is not drawn there fails here.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..");

/** What the files of a ring may import: prefixes of our own paths, and names of packages. The first ring that matches a file is its own. */
const RINGS: { ring: string; own: string; may: string[]; packages: string[] }[] = [
  { ring: "the queue core", own: "durable-objects/queue/", may: ["durable-objects/queue/"], packages: [] },
  { ring: "the object's door", own: "durable-objects/contract.ts", may: ["gpu-adapter/contract.ts", "gpu-adapter/pool-settings.ts"], packages: [] },
  { ring: "the shell", own: "durable-objects/", may: ["durable-objects/", "gpu-adapter/contract.ts", "gpu-adapter/canonical.ts", "gpu-adapter/file-names.ts", "gpu-adapter/json.ts", "gpu-adapter/port.ts", "gpu-adapter/pool-settings.ts", "gpu-adapter/providers/", "gpu-adapter/errors.ts", "gpu-adapter/quick-check.ts", "r2/keys.ts", "r2/signed.ts", "r2/seal.ts"], packages: ["cloudflare:workers", "node:crypto", "zod", "itty-durable"] },
  { ring: "the runner", own: "gpu-adapter/runner/", may: ["gpu-adapter/"], packages: ["zod", "node:"] },
  { ring: "the sandbox GPU", own: "gpu-adapter/sandbox/", may: ["gpu-adapter/sandbox/"], packages: ["ws", "sharp", "node:"] },
  { ring: "the GPU adapter", own: "gpu-adapter/", may: ["gpu-adapter/"], packages: ["zod"] },
  { ring: "storage", own: "r2/", may: ["r2/"], packages: ["zod", "node:crypto", "aws4fetch"] },
  { ring: "the seat's API", own: "frontend-shim/comfy-api/", may: ["frontend-shim/comfy-api/", "durable-objects/contract.ts", "gpu-adapter/contract.ts", "gpu-adapter/file-names.ts", "gpu-adapter/json.ts", "r2/"], packages: ["hono", "zod", "@jsquash/", "node:crypto"] },
  { ring: "the browser's parts", own: "frontend-shim/", may: ["frontend-shim/", "durable-objects/contract.ts", "durable-objects/instructor-contract.ts"], packages: [] },
  { ring: "the edge", own: "workers/", may: ["workers/", "durable-objects/contract.ts", "durable-objects/gpu-contract.ts", "durable-objects/instructor-contract.ts", "durable-objects/directory.ts", "durable-objects/workshop.ts", "frontend-shim/", "gpu-adapter/contract.ts", "gpu-adapter/canonical.ts", "gpu-adapter/json.ts", "gpu-adapter/pool-settings.ts", "r2/"], packages: ["hono", "zod", "node:crypto", "cloudflare:workers"] },
];

function files(folder: string): string[] {
  return readdirSync(join(ROOT, folder)).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(join(ROOT, path)).isDirectory()) return files(path);
    return path.endsWith(".ts") && !path.endsWith(".d.ts") ? [path] : [];
  });
}

const IMPORT = /^\s*(?:import|export)\s(?:[^"';]*?\sfrom\s)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/gm;

function imports(path: string): string[] {
  return [...readFileSync(join(ROOT, path), "utf8").matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? "");
}

const SOURCES = ["durable-objects", "gpu-adapter", "r2", "frontend-shim", "workers"].flatMap(files);

describe("who may import whom", () => {
  for (const { ring, own, may, packages } of RINGS) {
    test(`${ring} (${own}) imports only what its ring allows`, () => {
      const mine = SOURCES.filter((path) => RINGS.find((candidate) => path.startsWith(candidate.own))?.own === own);
      const forbidden = mine.flatMap((path) =>
        imports(path).flatMap((target) => {
          if (!target.startsWith(".")) return packages.some((name) => target === name || target.startsWith(name.endsWith(":") || name.endsWith("/") ? name : `${name}/`)) ? [] : [`${path} → ${target}`];
          const resolved = relative(ROOT, join(ROOT, dirname(path), target));
          return may.some((prefix) => resolved === prefix || (prefix.endsWith("/") && resolved.startsWith(prefix))) ? [] : [`${path} → ${resolved}`];
        }),
      );
      expect(forbidden).toEqual([]);
      expect(mine.length).toBeGreaterThan(0);
    });
  }

  test("the queue core reads no clock, rolls no dice and logs nothing", () => {
    const guilty = SOURCES.filter((path) => path.startsWith("durable-objects/queue/")).filter((path) => /\bDate\.now|\bMath\.random|\bnew Date\(\)|\bcrypto\b|\bfetch\(|\bconsole\b/.test(readFileSync(join(ROOT, path), "utf8").replaceAll(/\/\/.*|\/\*[\s\S]*?\*\//g, "")));
    expect(guilty).toEqual([]);
  });
});
