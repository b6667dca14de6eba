/** `node closing.mjs FILE…`: the sum of the closing lines of several test runs, as one closing line; fails when one has none. */
import { readFileSync } from "node:fs"

const CLOSING = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/

const sum = [0, 0, 0]
for (const file of process.argv.slice(2)) {
  const closing = readFileSync(file, "utf8").split("\n").map((line) => CLOSING.exec(line.trim())).findLast((match) => match !== null)
  const counts = closing === undefined ? [0, 1, 0] : closing.slice(1).map((text) => Number(text ?? 0))
  counts.forEach((count, index) => (sum[index] += count))
}
const [passed, failed, skipped] = sum
process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`)
process.exitCode = failed === 0 ? 0 : 1
