import { defineConfig } from "vitest/config"

export default defineConfig({
  resolve: { conditions: ["tidemark-source", "module", "node", "import", "default"] },
  ssr: { resolve: { conditions: ["tidemark-source", "module", "node", "import", "default"] } },
  test: {
    include: ["**/*.spec.ts", "**/*.spec.tsx"],
    exclude: ["**/node_modules/**", "**/dist/**", "**/*.browser.spec.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2
  }
})
