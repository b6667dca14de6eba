/** Steps and test runs that count into one closing line `N passed, N failed`. */
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { root } from "./prepare.mjs"

/** A program of this workspace. */
export const bin = (name) => join(root, "node_modules", ".bin", name)

const chromium = () => process.env.CHROMIUM_PATH ?? "/usr/bin/chromium"

/** Counts of one command. Every step and every test counts once. */
export const makeSuite = () => {
  const totals = { passed: 0, failed: 0, skipped: 0 }
  const reasons = []
  const suite = {
    totals,
    /** One step that either works or not. */
    step: (name, command, args) => {
      process.stdout.write(`\n== ${name}\n`)
      if (spawnSync(command, args, { cwd: root, stdio: "inherit" }).status === 0) totals.passed += 1
      else totals.failed += 1
    },
    /** One vitest run; `env` is added to this process's. */
    tests: (name, args, env = {}) => {
      process.stdout.write(`\n== ${name}\n`)
      const folder = mkdtempSync(join(tmpdir(), "tidemark-test-"))
      const file = join(folder, "result.json")
      const options = { cwd: root, stdio: "inherit", env: { ...process.env, ...env } }
      const status = spawnSync(bin("vitest"), ["run", ...args, "--reporter=dot", "--reporter=json", `--outputFile.json=${file}`], options).status
      const result = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined
      rmSync(folder, { recursive: true, force: true })
      totals.passed += result?.numPassedTests ?? 0
      totals.skipped += (result?.numPendingTests ?? 0) + (result?.numTodoTests ?? 0)
      const failed = result?.numFailedTests ?? 0
      totals.failed += status !== 0 && failed === 0 ? 1 : failed
    },
    /** The tests in a browser; each counts as skipped where there is none, and the reason stands before the closing line. */
    browserTests: () => {
      if (!existsSync(chromium())) reasons.push(`browser tests: ${chromium()} is not installed`)
      suite.tests("browser tests", ["--config", "vitest.browser.config.ts"])
    },
    /** Prints why tests were skipped and the closing line, and ends the process. */
    close: () => {
      if (reasons.length > 0) process.stdout.write(`\n${reasons.map((reason) => `skipped: ${reason}\n`).join("")}`)
      const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : ""
      process.stdout.write(`\n${totals.passed} passed, ${totals.failed} failed${skipped}\n`)
      process.exit(totals.failed === 0 ? 0 : 1)
    }
  }
  return suite
}
