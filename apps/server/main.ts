import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { engineAddresses } from "@tidemark/infra-wiring/engineAddresses"
import { engines, writeThreads } from "@tidemark/infra-wiring/engines"
import { makeTelemetry } from "@tidemark/infra-wiring/telemetry"
import { endProcess } from "@tidemark/infra-wiring/unsynced"
import { threadsOf } from "@tidemark/projector/projectorPool"
import { checksOf } from "./checkThread.ts"
import { runServer } from "./runServer.ts"
import { settingsOf } from "./settings.ts"
import { flagsOrEnd } from "./startArguments.ts"
const flags = flagsOrEnd(process.argv.slice(2), readFileSync(new URL("../usage.txt", import.meta.url), "utf8"))
const terminal = process.stdout.isTTY === true
await runServer(() => {
  const configuration = readConfiguration({ flags, environment: process.env, workingDirectory: process.cwd(), terminal })
  return {
    terminal,
    settings: settingsOf(configuration),
    engines: engines(configuration, writeThreads()),
    engineAddresses: engineAddresses(configuration),
    telemetry: makeTelemetry(terminal ? "warn" : "info"),
    startThread: threadsOf(new URL(import.meta.resolve("@tidemark/projector/workerMain")), configuration),
    startCheck: checksOf(new URL("./workerMain.js", import.meta.url), configuration),
    dashboardDirectory: fileURLToPath(new URL("../../dashboard/dist", import.meta.url)),
    version: "0.1.0",
    endProcess
  }
})
