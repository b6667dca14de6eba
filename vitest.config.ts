import { createRequire } from "node:module"
import { defineConfig } from "vitest/config"

/** One copy of graphql for sources and libraries, the one Node itself takes: its classes are compared by identity. */
const graphql = createRequire(import.meta.url).resolve("graphql")

export default defineConfig({
  resolve: { conditions: ["tidemark-source", "node", "import", "default"], alias: [{ find: /^graphql$/, replacement: graphql }] },
  // Without "import": it would reach Node's own resolution, and a CommonJS library (pg) would require an ES module.
  ssr: { resolve: { conditions: ["tidemark-source", "node", "default"] } },
  test: {
    include: ["**/*.spec.ts", "**/*.spec.tsx"],
    exclude: ["**/node_modules/**", "**/dist/**", "**/*.browser.spec.ts", "**/*.engines.spec.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2
  }
})
