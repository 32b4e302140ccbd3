// One command, five projects: rules in Node, shells in workerd, whole paths over real sockets (see docs/architecture.md, "How it is tested").
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/** Real processes, sockets and browsers on a shared machine: CI gives such a test a second chance, a person at the keyboard sees the first failure. `workers` files at once; a project with another number of them runs as a group of its own, in `order`. */
function node(name: string, testTimeout: number, workers: number, order: number) {
  return {
    test: { name, include: [`test/${name}/**/*.test.ts`], environment: "node" as const, testTimeout, hookTimeout: 180_000, retry: process.env.CI ? 2 : 0, maxWorkers: workers, sequence: { groupOrder: order } },
  };
}

export default defineConfig({
  test: {
    projects: [
      { test: { name: "core", include: ["test/core/**/*.test.ts", "test/*.test.ts"], environment: "node", testTimeout: 120_000 } },
      {
        plugins: [cloudflareTest({ wrangler: { configPath: "./wrangler.toml" }, miniflare: { bindings: { SESSION_SECRET: "test-session-secret-0123456789abcdef", OPERATOR_TOKEN: "test-operator-token-0123456789" } } })],
        test: { name: "workers", include: ["test/workers/**/*.test.ts"], testTimeout: 60_000 },
      },
      // Most of a contract test is waiting for machines to start, die and be given up: two at a time use the time of one.
      node("contract", 120_000, 2, 1),
      node("conformance", 120_000, 1, 2),
      node("e2e", 240_000, 1, 2),
    ],
  },
});
