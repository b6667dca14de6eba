import { catchUp, peers } from "./catchUp.ts"
import { digests } from "./digests.ts"
import { growth } from "./growth.ts"
import { ingest } from "./ingest.ts"
import { latency } from "./latency.ts"
import { asJson, asText } from "./measuring.ts"
import type { Report } from "./measuring.ts"
import { past } from "./past.ts"
import { query } from "./query.ts"
import { rebuild } from "./rebuild.ts"
import { rebuildLive } from "./rebuildLive.ts"
import { search } from "./search.ts"

const benchmarks: Readonly<Record<string, (argv: readonly string[]) => Promise<Report>>> = { rebuild, "rebuild-live": rebuildLive, ingest, latency, query, growth, search, digests, past, "catch-up": catchUp, peers }

const [name = "", ...argv] = process.argv.slice(2)
const benchmark = benchmarks[name]
if (benchmark === undefined) {
  process.stderr.write(`Name a benchmark: ${Object.keys(benchmarks).join(", ")}. Add --json for JSON.\n`)
  process.exit(2)
}
const report = await benchmark(argv)
process.stdout.write(argv.includes("--json") ? `${asJson(report)}\n` : asText(report))
process.exit()
