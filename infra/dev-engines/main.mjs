/**
 * `npm run engines -- up|down|status [--only a,b] [--install] [--wipe]`: exports on stdout, everything else on stderr.
 * `npm run engines -- consume TOPIC`: the topic's records on stdout, as Kafka's own console consumer reads them.
 */
import { parseArgs } from "node:util"
import { down, engineNames, status, up, variables, wipe } from "./engines.mjs"
import { consume } from "./kafkaTools.mjs"
import { EngineError } from "./places.mjs"

const USAGE = `usage: npm run engines -- up|down|status [--only ${engineNames.join(",")}] [--install] [--wipe]
       npm run engines -- consume TOPIC
  --only     these engines only
  --install  (up) first install missing Debian packages; needs root
  --wipe     (down) also remove the engines' data`

const report = (line) => process.stderr.write(`${line}\n`)

const readArguments = () => {
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: "string" }, install: { type: "boolean" }, wipe: { type: "boolean" } } })
    const only = values.only?.split(",")
    const unknown = only?.find((name) => !engineNames.includes(name))
    if (unknown !== undefined) return `"${unknown}" is no engine: choose from ${engineNames.join(", ")}.`
    const [command, topic] = positionals
    if (command === "consume" && topic !== undefined && positionals.length === 2) return { command, topic }
    return positionals.length === 1 && ["up", "down", "status"].includes(command) ? { command, only, ...values, names: only } : USAGE
  } catch (error) {
    return `${error.message}\n${USAGE}`
  }
}

const commands = {
  up: async ({ names, install }) => {
    await up(names, report, { installing: install === true })
    for (const [name, value] of Object.entries(variables())) process.stdout.write(`export ${name}=${value}\n`)
  },
  down: async ({ names, wipe: wiping }) => {
    await down(names, report)
    if (wiping === true) wipe(report)
  },
  consume: async ({ topic }) => {
    const brokers = process.env.TIDEMARK_KAFKA_BROKERS ?? variables().TIDEMARK_KAFKA_BROKERS
    if (brokers === undefined) throw new EngineError("Kafka does not run here: start it (npm run engines -- up --only kafka), or name a broker in TIDEMARK_KAFKA_BROKERS.")
    await consume(brokers, topic)
  },
  status: async ({ names }) => {
    for (const { name, port, pid, answers } of await status(names)) {
      const state = pid === undefined ? (answers ? "not ours, but the port is taken" : "not running") : answers ? `running, process ${pid}` : `process ${pid} does not answer`
      process.stdout.write(`${name.padEnd(14)} port ${port}  ${state}\n`)
    }
  }
}

const given = readArguments()
if (typeof given === "string") {
  report(given)
  process.exit(2)
}
try {
  await commands[given.command](given)
} catch (error) {
  report(error instanceof EngineError ? error.message : error.stack)
  process.exit(1)
}
