import { explainConfiguration, readConfiguration } from "@tidemark/infra-wiring/configuration"
import { sourceLog, targetLog } from "@tidemark/infra-wiring/logs"
import { text } from "node:stream/consumers"
import { runProgram } from "./program.ts"

const configuration = () => readConfiguration({ flags: new Map(), environment: process.env, workingDirectory: process.cwd(), terminal: process.stdout.isTTY === true })

process.exitCode = await runProgram(process.argv.slice(2), {
  environment: process.env,
  output: { data: (line) => process.stdout.write(line + "\n"), note: (line) => process.stderr.write(line + "\n") },
  readStdin: () => text(process.stdin),
  explain: () => explainConfiguration(configuration()),
  logs: () => {
    const settings = configuration()
    return { mode: settings.mode.value, source: () => sourceLog(settings), target: (mode, identity) => targetLog(settings, mode, identity) }
  }
})
