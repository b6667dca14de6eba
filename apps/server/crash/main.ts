/**
 * `npm run test:crash -- [--kills N] [--events N] [--seed S]`, and `-- --replay [--seeds N] [--seed S]` for kills at every
 * named place of a rebuild, once with each of N seeds: prints the figures as JSON; exit 0 only if all is right.
 */
import { fileURLToPath } from "node:url"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { runCrash } from "./runCrash.ts"

process.exitCode = await runCrash({
  argv: process.argv.slice(2),
  entry: fileURLToPath(new URL("../main.js", import.meta.url)),
  storesOf: (dataDir) => engines(readConfiguration({ flags: new Map(), environment: { TIDEMARK_DATA_DIR: dataDir }, workingDirectory: dataDir, terminal: false }))
})
