/** `npm run test:crash -- [--kills N] [--events N] [--seed S]`: prints the figures as JSON; exit 0 only if all is right. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { runCampaign } from "./campaign.ts"

const { values } = parseArgs({ options: { kills: { type: "string", default: "100" }, events: { type: "string", default: "200000" }, seed: { type: "string", default: String(Date.now() % 1_000_000) } } })
const numbers = { kills: Number(values.kills), events: Number(values.events), seed: Number(values.seed) }
for (const [name, value] of Object.entries(numbers)) {
  if (Number.isInteger(value) && value >= 0) continue
  process.stderr.write(`--${name} takes a whole number from 0.\n`)
  process.exit(2)
}
const dataDir = mkdtempSync(join(tmpdir(), "tidemark-crash-"))
process.stderr.write(`seed ${numbers.seed}: ${numbers.kills} kills, ${numbers.events} events, in ${dataDir}\n`)
const result = await runCampaign({ ...numbers, entry: fileURLToPath(new URL("../main.js", import.meta.url)), dataDir, report: (line) => void process.stderr.write(line + "\n") })
process.stdout.write(JSON.stringify(result, undefined, 2) + "\n")
if (result.ok) rmSync(dataDir, { recursive: true, force: true })
else process.stderr.write(`The data are kept in ${dataDir}.\n`)
process.exitCode = result.ok ? 0 : 1
