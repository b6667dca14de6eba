/** Specs that need real engines, whose addresses come from the environment, else from `.tidemark/engines.json`. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { defineConfig, mergeConfig } from "vitest/config"
import base from "./vitest.config.ts"

const file = join(import.meta.dirname, ".tidemark", "engines.json")
const running = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { readonly variables: Record<string, string> }).variables : {}
const env = Object.fromEntries(Object.entries(running).filter(([name]) => process.env[name] === undefined))

const merged = mergeConfig(base, defineConfig({ test: { env, fileParallelism: false, testTimeout: 180_000, hookTimeout: 180_000 } }))
merged.test = { ...merged.test, include: ["**/*.engines.spec.ts"], exclude: ["**/node_modules/**", "**/dist/**"] }

export default merged
