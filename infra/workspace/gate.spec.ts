import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..", "..")

describe("the import gate", () => {
  let copy: string
  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), "tidemark-gate-"))
    const config = JSON.parse(readFileSync(join(root, ".oxlintrc.json"), "utf8")) as { ignorePatterns: string[] }
    config.ignorePatterns = []
    writeFileSync(join(copy, ".oxlintrc.json"), JSON.stringify(config))
    cpSync(join(import.meta.dirname, "fixtures"), copy, { recursive: true })
  })
  afterAll(() => rmSync(copy, { recursive: true, force: true }))

  it("refuses an engine client, another room, the clock, randomness, timers, any and a default export in domain", () => {
    const run = spawnSync(join(root, "node_modules/.bin/oxlint"), ["--format", "json", "domain"], { cwd: copy, encoding: "utf8" })
    expect(run.status).not.toBe(0)
    const report = JSON.parse(run.stdout) as { diagnostics: { code: string }[] }
    const codes = report.diagnostics.map((diagnostic) => diagnostic.code)
    expect(codes.filter((code) => code === "eslint(no-restricted-imports)")).toHaveLength(3)
    expect(codes.filter((code) => code === "eslint(no-restricted-properties)")).toHaveLength(2)
    for (const code of ["eslint(no-restricted-globals)", "typescript(no-explicit-any)", "import(no-default-export)"]) {
      expect(codes).toContain(code)
    }
  })
})

describe("the pure rooms", () => {
  it("never construct the current time", () => {
    const files = execFileSync("git", ["ls-files", "domain", "projections"], { cwd: root, encoding: "utf8" })
    const offenders = files
      .split("\n")
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".spec.ts"))
      .filter((file) => /new Date\(\s*\)/.test(readFileSync(join(root, file), "utf8")))
    expect(offenders).toEqual([])
  })
})
