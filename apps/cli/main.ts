import { once } from "node:events"
import { explainConfiguration, readConfiguration } from "@tidemark/infra-wiring/configuration"
import { sourceLog, targetLog } from "@tidemark/infra-wiring/logs"
import { runProgram } from "./program.ts"
import { readStdin } from "./readStdin.ts"

const configuration = () => readConfiguration({ flags: new Map(), environment: process.env, workingDirectory: process.cwd(), terminal: process.stdout.isTTY === true })

// Whoever reads may stop early, as `head` does: that is no fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1))
const drained = async (): Promise<void> => {
  if (process.stdout.writableNeedDrain) await once(process.stdout, "drain")
}

process.exitCode = await runProgram(process.argv.slice(2), {
  environment: process.env,
  output: { data: (line) => process.stdout.write(line + "\n"), note: (line) => process.stderr.write(line + "\n"), drained },
  readStdin,
  explain: () => explainConfiguration(configuration()),
  logs: () => {
    const settings = configuration()
    return { mode: settings.mode.value, source: () => sourceLog(settings), target: (mode, identity) => targetLog(settings, mode, identity) }
  }
})
