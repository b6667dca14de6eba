/** `node closing.mjs FILE…`: the sum of the closing lines of several test runs, as one closing line, after their reasons for skipping; fails when one has none. */
import { readFileSync } from "node:fs"

const CLOSING = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/

const sum = [0, 0, 0]
const reasons = new Set()
for (const file of process.argv.slice(2)) {
  const lines = readFileSync(file, "utf8").split("\n")
  for (const line of lines) if (line.startsWith("skipped: ")) reasons.add(line)
  const closing = lines.map((line) => CLOSING.exec(line.trim())).findLast((match) => match !== null)
  const counts = closing === undefined ? [0, 1, 0] : closing.slice(1).map((text) => Number(text ?? 0))
  counts.forEach((count, index) => (sum[index] += count))
}
const [passed, failed, skipped] = sum
if (reasons.size > 0) process.stdout.write(`\n${[...reasons].join("\n")}\n`)
process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`)
process.exitCode = failed === 0 ? 0 : 1
