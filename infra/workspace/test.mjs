/**
 * `npm test`: prepares the workspace, lints, type-checks and runs every test that needs no server.
 *
 * The lint, the type check and each test count once in the closing line `N passed, N failed`;
 * skipped tests are counted there, too, and lines before it say why.
 */
import { nodeTooOld, prepare } from "./prepare.mjs"
import { bin, makeSuite } from "./suite.mjs"

const old = nodeTooOld()
if (old !== undefined) {
  process.stderr.write(old + "\n")
  process.exit(1)
}
const suite = makeSuite()
try {
  await prepare((text) => process.stdout.write(`== ${text}\n`))
  suite.totals.passed += 1
} catch (error) {
  process.stderr.write(error.message + "\n")
  suite.totals.failed += 1
}
if (suite.totals.failed === 0) {
  suite.step("lint", bin("oxlint"), ["--deny-warnings"])
  suite.step("types", bin("tsc"), ["-b"])
  suite.tests("tests", [])
  suite.browserTests()
}
suite.close()
