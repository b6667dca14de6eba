/** The double that speaks EventStoreDB's protocol, in a process of its own: the server itself is in no package registry. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { HOST, portOf, root } from "./places.mjs"
import { answers, start, stop } from "./processes.mjs"

const program = join(root, "infra", "eventstoredb", "double", "main.mjs")

/** Is the double part of this checkout? */
export const hasEventstoredb = existsSync(program)

/** Engine record for a data directory. */
export const eventstoredb = (folder) => {
  const port = portOf("eventstoredb")
  const engine = { name: "eventstoredb", packages: [], folder, port, mark: `${program} --port=${port}` }
  return {
    ...engine,
    variables: { TIDEMARK_EVENTSTORE_URL: `esdb://${HOST}:${port}?tls=false` },
    up: () => start(engine, { command: process.execPath, args: [program, `--port=${port}`], account: {}, environment: { PORT: String(port) }, ready: () => answers(port), seconds: 20 }),
    down: () => stop(engine, { signal: "SIGTERM", seconds: 10 })
  }
}
