import { explainConfiguration, readConfiguration } from "@tidemark/infra-wiring/configuration"
import { text } from "node:stream/consumers"
import { runProgram } from "./program.ts"

process.exitCode = await runProgram(process.argv.slice(2), {
  environment: process.env,
  output: { data: (line) => process.stdout.write(line + "\n"), note: (line) => process.stderr.write(line + "\n") },
  readStdin: () => text(process.stdin),
  explain: () =>
    explainConfiguration(readConfiguration({ flags: new Map(), environment: process.env, workingDirectory: process.cwd(), terminal: process.stdout.isTTY === true }))
})
