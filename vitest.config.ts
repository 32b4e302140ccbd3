// One command, five projects: rules in Node, shells in workerd, whole paths over real sockets (see docs/architecture.md, "How it is tested").
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

function node(name: string, testTimeout: number, serial: boolean) {
  return {
    test: { name, include: [`test/${name}/**/*.test.ts`], environment: "node" as const, testTimeout, hookTimeout: 180_000, fileParallelism: !serial },
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
      node("contract", 120_000, true),
      node("conformance", 120_000, true),
      node("e2e", 240_000, true),
    ],
  },
});
