import { defineConfig, mergeConfig } from "vitest/config"
import base from "./vitest.config.ts"

const merged = mergeConfig(base, defineConfig({ test: { testTimeout: 120_000, maxWorkers: 1, passWithNoTests: true } }))
merged.test = { ...merged.test, include: ["**/*.browser.spec.ts"], exclude: ["**/node_modules/**", "**/dist/**"] }

export default merged
