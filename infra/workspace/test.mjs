/**
 * `npm test`: prepares the workspace, lints, type-checks and runs every test that needs no server.
 *
 * The lint, the type check and each test count once in the closing line `N passed, N failed`.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { nodeTooOld, prepare, root } from "./prepare.mjs"

const bin = (name) => join(root, "node_modules", ".bin", name)
const totals = { passed: 0, failed: 0, skipped: 0 }

const step = (name, command, args) => {
  process.stdout.write(`\n== ${name}\n`)
  const ok = spawnSync(command, args, { cwd: root, stdio: "inherit" }).status === 0
  if (ok) totals.passed += 1
  else totals.failed += 1
  return ok
}

const tests = (name, args) => {
  process.stdout.write(`\n== ${name}\n`)
  const folder = mkdtempSync(join(tmpdir(), "tidemark-test-"))
  const file = join(folder, "result.json")
  const status = spawnSync(bin("vitest"), ["run", ...args, "--reporter=dot", "--reporter=json", `--outputFile.json=${file}`], { cwd: root, stdio: "inherit" }).status
  const result = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined
  rmSync(folder, { recursive: true, force: true })
  totals.passed += result?.numPassedTests ?? 0
  totals.skipped += (result?.numPendingTests ?? 0) + (result?.numTodoTests ?? 0)
  const failed = result?.numFailedTests ?? 0
  totals.failed += status !== 0 && failed === 0 ? 1 : failed
}

const old = nodeTooOld()
if (old !== undefined) {
  process.stderr.write(old + "\n")
  process.exit(1)
}
try {
  await prepare((text) => process.stdout.write(`== ${text}\n`))
  totals.passed += 1
} catch (error) {
  process.stderr.write(error.message + "\n")
  totals.failed += 1
}
if (totals.failed === 0) {
  step("lint", bin("oxlint"), ["--deny-warnings"])
  step("types", bin("tsc"), ["-b"])
  tests("tests", [])
  if (existsSync("/usr/bin/chromium")) tests("browser tests", ["--config", "vitest.browser.config.ts"])
  else process.stdout.write("\n== browser tests: skipped, 1 suite: /usr/bin/chromium is not installed\n")
}
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : ""
process.stdout.write(`\n${totals.passed} passed, ${totals.failed} failed${skipped}\n`)
process.exit(totals.failed === 0 ? 0 : 1)
