/** What a start says: JSON lines off a terminal, text on one. */
import type { KeyFile } from "./keyFile.ts"

export interface Announcer {
  /** Keys made by this start; they are shown this once. */
  readonly keys: (generated: KeyFile, file: string) => void
  readonly ready: (url: string, demo: boolean) => void
  readonly progress: (line: string) => void
  readonly stopping: () => void
}

const jsonLines = (write: (line: string) => void): Announcer => {
  const say = (fields: Readonly<Record<string, unknown>>) => write(JSON.stringify(fields))
  return {
    keys: (generated, file) => {
      for (const [tenant, keys] of Object.entries(generated)) say({ event: "keys", tenant, ...keys, file })
    },
    ready: (url) => say({ event: "ready", dashboard: `${url}/`, ingest: `${url}/v1/events`, graphql: `${url}/graphql` }),
    progress: (line) => say({ event: "progress", detail: line }),
    stopping: () => say({ event: "stopping" })
  }
}

const text = (write: (line: string) => void): Announcer => ({
  keys: (generated, file) => {
    for (const [tenant, keys] of Object.entries(generated)) {
      write(`\n  Keys of tenant ${tenant}, shown this once (kept in ${file}):`)
      for (const [role, key] of Object.entries(keys)) write(`    ${role.padEnd(6)} ${key as string}`)
    }
  },
  ready: (url, demo) => {
    write(`\n  Tidemark is ready.\n`)
    write(`    Dashboard  ${url}/`)
    write(`    Ingest     ${url}/v1/events`)
    write(`    GraphQL    ${url}/graphql`)
    write(`    API docs   ${url}/docs`)
    write(demo ? `\n  The demo shop sends events to tenant demo (TIDEMARK_DEMO=0 turns it off). Ctrl+C stops.\n` : `\n  Ctrl+C stops.\n`)
  },
  progress: (line) => write(`  ${line}`),
  stopping: () => write("  Stopping: draining and checkpointing.")
})

export const makeAnnouncer = (terminal: boolean, write: (line: string) => void): Announcer => (terminal ? text(write) : jsonLines(write))
