import { execFileSync, spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..", "..")

const PURE = ["domain", "projections"]

/** What a pure room may not touch, and the rule that says so. */
const impure: readonly (readonly [name: string, line: string, rule: string])[] = [
  ...[
    "Date.now()", "new Date()", "Date()", "performance.now()", "globalThis.Date.now()", "globalThis.process", "globalThis.setTimeout",
    "global.process", "process.env", "crypto.randomUUID()", "setTimeout(() => 1, 10)", "setInterval(() => 1, 10)", "setImmediate(() => 1)",
    "queueMicrotask(() => 1)", "fetch(\"http://x\")", "navigator.hardwareConcurrency", "new WebSocket(\"ws://x\")", "new EventSource(\"x\")",
    "new BroadcastChannel(\"x\")", "new MessageChannel()", "AbortSignal.timeout(10)", "console.log(1)", "require(\"x\")", "eval(\"1\")",
    "Function(\"return 1\")"
  ].map((expression) => [expression, `export const x = ${expression}`, "eslint(no-restricted-globals)"] as const),
  ["Math.random()", "export const x = Math.random()", "eslint(no-restricted-properties)"]
]

/** Fixtures of every room: the source's path and text, and the rule that it breaks; undefined when it breaks none. */
const fixtures: readonly (readonly [file: string, text: string, rule: string | undefined])[] = [
  ...PURE.flatMap((room) => impure.map(([, line, rule], at) => [`${room}/impure${at}.ts`, `${line}\n`, rule] as const)),
  ["domain/time/rfc3339.ts", "export const x = Date.now()\n", "eslint(no-restricted-properties)"],
  ["domain/time/rfc3339.ts", "export const x = performance.now()\n", "eslint(no-restricted-globals)"],
  ["domain/time/rfc3339.ts", "export const x = new Date(0)\n", undefined],
  ["domain/time/clock.spec.ts", "export const x = Date.now() + Math.random()\n", undefined],
  ["queries/any.ts", "export const x: any = 1\n", "typescript(no-explicit-any)"],
  ["queries/default.ts", "export default 1\n", "import(no-default-export)"],
  ["infra/wiring/some.config.ts", "export default 1\n", undefined],
  ["queries/long.ts", "export const x = 1\n" + "\n".repeat(400) + "export const y = 1\n", "eslint(max-lines)"],
  ["apps/api/main.ts", "\n".repeat(31) + "export const x = 1\n", "eslint(max-lines)"],
  ["apps/api/crash/main.ts", "\n".repeat(31) + "export const x = 1\n", "eslint(max-lines)"],
  ["apps/api/workerMain.ts", "\n".repeat(31) + "export const x = 1\n", "eslint(max-lines)"],
  ["queries/function.ts", `export const f = () => {\n${"  f()\n".repeat(70)}}\n`, "eslint(max-lines-per-function)"],
  ["queries/function.spec.ts", `export const f = () => {\n${"  f()\n".repeat(70)}}\n`, undefined]
]

describe("the lint gate", () => {
  let copy: string
  /** Rules broken by each fixture, which has a folder of its own since the rules go by path. */
  const broken = new Map<number, string[]>()
  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), "tidemark-gate-"))
    const config = JSON.parse(readFileSync(join(root, ".oxlintrc.json"), "utf8")) as object
    for (const [at, [file, text]] of fixtures.entries()) {
      mkdirSync(dirname(join(copy, String(at), file)), { recursive: true })
      writeFileSync(join(copy, String(at), file), text)
      writeFileSync(join(copy, String(at), ".oxlintrc.json"), JSON.stringify(config))
    }
    const run = spawnSync(join(root, "node_modules/.bin/oxlint"), ["--format", "json"], { cwd: copy, encoding: "utf8" })
    for (const { code, filename } of (JSON.parse(run.stdout) as { diagnostics: { code: string; filename: string }[] }).diagnostics) {
      const at = Number(filename.split("/")[0])
      broken.set(at, [...(broken.get(at) ?? []), code])
    }
  })
  afterAll(() => rmSync(copy, { recursive: true, force: true }))

  it.each(fixtures.map(([file, text, rule], at) => [file, text.trim().split("\n")[0], rule ?? "nothing", at] as const))("finds in %s, %s: %s", (_file, _text, rule, at) => {
    if (rule === "nothing") expect(broken.get(at)).toBeUndefined()
    else expect(broken.get(at)).toContain(rule)
  })
})

describe("the pure rooms", () => {
  const NOW = /\bDate\(\s*\)/

  it("never construct the current time, not even where a date may be constructed", () => {
    for (const text of ["new Date()", "Date( )", "new Date(\n)"]) expect(text).toMatch(NOW)
    const files = execFileSync("git", ["ls-files", ...PURE], { cwd: root, encoding: "utf8" })
    const offenders = files
      .split("\n")
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".spec.ts"))
      .filter((file) => NOW.test(readFileSync(join(root, file), "utf8")))
    expect(offenders).toEqual([])
  })
})
