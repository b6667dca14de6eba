/**
 * `npm run test:engines -- [--install] [--only a,b] [FILTER…]`: every `*.engines.spec.ts` on the real engines.
 *
 * Starts the engines in a directory and on ports of its own (26400 and up, unless TIDEMARK_ENGINES_PORT_BASE names
 * others), runs the specs one file after the other and removes it all. Closing line `N passed, N failed`.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { down, up, variables } from "../dev-engines/engines.mjs"
import { EngineError } from "../dev-engines/places.mjs"
import { nodeTooOld, prepare } from "./prepare.mjs"
import { makeSuite } from "./suite.mjs"

const PORT_BASE = "26400"

const report = (text) => process.stdout.write(`== ${text}\n`)

const old = nodeTooOld()
if (old !== undefined) {
  process.stderr.write(old + "\n")
  process.exit(1)
}
const readArguments = () => {
  try {
    return parseArgs({ allowPositionals: true, options: { install: { type: "boolean" }, only: { type: "string" } } })
  } catch (error) {
    process.stderr.write(`${error.message}\nusage: npm run test:engines -- [--install] [--only a,b] [FILTER…]\n`)
    return process.exit(2)
  }
}
const { values, positionals } = readArguments()
const names = values.only?.split(",")
const suite = makeSuite()
const folder = mkdtempSync(join(tmpdir(), "tidemark-test-engines-"))
process.env.TIDEMARK_ENGINES_PORT_BASE ??= PORT_BASE
process.env.TIDEMARK_ENGINES_DIR = folder
process.env.TIDEMARK_ENGINES_FILE = join(folder, "engines.json")

/** Stops the engines and forgets their data, whatever happened before. */
const leave = async () => {
  await down(undefined, () => {})
  rmSync(folder, { recursive: true, force: true })
}
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void leave().finally(() => process.exit(1)))

try {
  await prepare(report)
  await up(names, report, { installing: values.install === true })
  suite.tests("tests on the engines", ["--config", "vitest.engines.config.ts", ...positionals], variables())
} catch (error) {
  process.stderr.write(`${error instanceof EngineError ? error.message : error.stack}\n`)
  suite.totals.failed += 1
} finally {
  await leave()
}
suite.close()
