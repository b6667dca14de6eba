import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { COMPUTED, covers, importsIn, refusals } from "./importGate.ts"
import type { FoundImport } from "./importGate.ts"
import { importTable } from "./importTable.ts"

const root = join(import.meta.dirname, "..", "..")

/** Files of the work tree, those not yet committed among them. */
const listed = (...globs: string[]): string[] =>
  execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", ...globs], { cwd: root, encoding: "utf8" })
    .split("\n")
    .filter((file) => file !== "" && existsSync(join(root, file)))

const textOf = (file: string): string => readFileSync(join(root, file), "utf8")

const folders = new Map(listed("*/package.json").map((file) => [(JSON.parse(textOf(file)) as { name: string }).name, file.slice(0, -"/package.json".length)]))

const gate = (file: string, text: string): readonly string[] => refusals(importTable, file, importsIn(file, text, folders))

/** One import each of what a row does not list: the source's file, the module it names, what the gate calls it. */
const refused: readonly (readonly [file: string, module: string, target: string])[] = [
  ["x.config.ts", "lmdb", "lmdb"],
  ["domain/x.ts", "fs", "fs"],
  ["domain/x.ts", "node:fs/promises", "node:fs/promises"],
  ["domain/x.ts", "undici", "undici"],
  ["domain/x.ts", "effect", "effect"],
  ["domain/x.ts", "effect/unstable/http", "effect/unstable/http"],
  ["domain/x.ts", "../node_modules/lmdb/index.js", "node_modules/lmdb/index.js"],
  ["domain/ports/x.ts", "@tidemark/infra-embedded/EventLogLmdb", "infra/embedded/EventLogLmdb"],
  ["domain/ports/x.ts", "@tidemark/not-there/x", "@tidemark/not-there/x"],
  ["domain/ports/x.ts", "../../projections/registry.ts", "projections/registry.ts"],
  ["domain/x.spec.ts", "@tidemark/projections/registry", "projections/registry"],
  ["domain/events/types/catalogue.spec.ts", "node:net", "node:net"],
  ["projections/runtime/x.ts", "express", "express"],
  ["projections/runtime/x.ts", "fs", "fs"],
  ["projections/runtime/x.ts", "../../infra/embedded/EventLogLmdb.ts", "infra/embedded/EventLogLmdb.ts"],
  ["commands/x.ts", "undici", "undici"],
  ["commands/x.ts", "node:fs", "node:fs"],
  ["commands/x.ts", "@tidemark/projections/registry", "projections/registry"],
  ["queries/x.ts", "fs", "fs"],
  ["queries/x.ts", "@tidemark/commands/types", "commands/types"],
  ["replay/x.ts", "../infra/embedded/EventLogLmdb.ts", "infra/embedded/EventLogLmdb.ts"],
  ["replay/x.spec.ts", "@tidemark/infra-embedded/EventLogLmdb", "infra/embedded/EventLogLmdb"],
  ["replay/copyLog.spec.ts", "lmdb", "lmdb"],
  ["infra/embedded/x.ts", "../postgres/connection.ts", "infra/postgres/connection.ts"],
  ["infra/embedded/x.ts", "pg", "pg"],
  ["infra/postgres/x.ts", "lmdb", "lmdb"],
  ["infra/postgres/x.ts", "node:net", "node:net"],
  ["infra/postgres/figures.ts", "node:net", "node:net"],
  ["infra/postgres/faultProxy.ts", "node:fs", "node:fs"],
  ["infra/postgres/testDatabase.ts", "node:fs", "node:fs"],
  ["infra/postgres/testCluster.ts", "../dev-engines/places.mjs", "infra/dev-engines/places.mjs"],
  ["infra/redis/x.ts", "kafkajs", "kafkajs"],
  ["infra/redis/redisProcess.ts", "node:fs", "node:fs"],
  ["infra/eventstoredb/x.ts", "@grpc/grpc-js", "@grpc/grpc-js"],
  ["infra/eventstoredb/double/x.mjs", "node:net", "node:net"],
  ["infra/eventstoredb/doubleProcess.ts", "node:net", "node:net"],
  ["infra/kafka/x.ts", "../../projections/registry.ts", "projections/registry.ts"],
  ["infra/elasticsearch/x.ts", "@tidemark/replay/parity", "replay/parity"],
  ["infra/elasticsearch/specNamespace.ts", "node:fs", "node:fs"],
  ["infra/elasticsearch/faultProxy.ts", "node:fs", "node:fs"],
  ["infra/telemetry/x.ts", "@tidemark/domain/ports/EventLog", "domain/ports/EventLog"],
  ["infra/wiring/x.ts", "@tidemark/domain/events/envelope", "domain/events/envelope"],
  ["infra/wiring/x.ts", "../../apps/server/serve.ts", "apps/server/serve.ts"],
  ["infra/wiring/fixtures/readingWorker.mjs", "pg", "pg"],
  ["infra/deploy/x.spec.ts", "lmdb", "lmdb"],
  ["infra/dev-engines/x.mjs", "../workspace/prepare.mjs", "infra/workspace/prepare.mjs"],
  ["infra/workspace/prepare.mjs", "vitest/node", "vitest/node"],
  ["infra/workspace/importGate.ts", "effect/Effect", "effect/Effect"],
  ["infra/workspace/sim.mjs", "@tidemark/server/serve", "apps/server/serve"],
  ["apps/server/secondStart.e2e.spec.ts", "pino", "pino"],
  ["infra/workspace/start.mjs", "pino", "pino"],
  ["infra/workspace/test-engines.mjs", "vitest", "vitest"],
  ["apps/ingest/x.ts", "@tidemark/queries/live", "queries/live"],
  ["apps/ingest/x.ts", "../../infra/embedded/EventLogLmdb.ts", "infra/embedded/EventLogLmdb.ts"],
  ["apps/api/resolvers/x.ts", "../../../infra/embedded/EventLogLmdb.ts", "infra/embedded/EventLogLmdb.ts"],
  ["apps/api/resolvers/x.ts", "../../../projections/registry.ts", "projections/registry.ts"],
  ["apps/api/x.spec.ts", "@tidemark/infra-wiring/engines", "infra/wiring/engines"],
  ["apps/api/printSchema.ts", "node:os", "node:os"],
  ["apps/projector/x.ts", "@tidemark/infra-wiring/engines", "infra/wiring/engines"],
  ["apps/projector/workerMain.ts", "@tidemark/infra-embedded/EventLogLmdb", "infra/embedded/EventLogLmdb"],
  ["apps/projector/ranking.engines.spec.ts", "@tidemark/infra-postgres/connection", "infra/postgres/connection"],
  ["apps/projector/eventSearch.engines.spec.ts", "@tidemark/infra-postgres/connection", "infra/postgres/connection"],
  ["apps/projector/searchPublisher.engines.spec.ts", "lmdb", "lmdb"],
  ["apps/server/serve.ts", "@tidemark/infra-wiring/engines", "infra/wiring/engines"],
  ["apps/server/serve.ts", "vitest", "vitest"],
  ["apps/server/main.ts", "@tidemark/infra-embedded/EventLogLmdb", "infra/embedded/EventLogLmdb"],
  ["apps/server/crash/main.ts", "kafkajs", "kafkajs"],
  ["apps/server/workerMain.ts", "@tidemark/infra-embedded/EventLogLmdb", "infra/embedded/EventLogLmdb"],
  ["apps/server/fixtures/plainCounts.ts", "vitest", "vitest"],
  ["apps/server/heldEvents.ts", "@tidemark/infra-embedded/EventLogLmdb", "infra/embedded/EventLogLmdb"],
  ["apps/server/plantedRows.ts", "lmdb", "lmdb"],
  ["apps/server/rebuild.engines.spec.ts", "@tidemark/infra-kafka/EventLogKafka", "infra/kafka/EventLogKafka"],
  ["apps/server/rebuildLoad.ts", "lmdb", "lmdb"],
  ["apps/server/refusedEvents.ts", "lmdb", "lmdb"],
  ["apps/server/usePages.ts", "lmdb", "lmdb"],
  ["apps/server/useProcesses.ts", "lmdb", "lmdb"],
  ["apps/cli/verbs/x.ts", "@tidemark/infra-wiring/logs", "infra/wiring/logs"],
  ["apps/cli/main.ts", "@tidemark/infra-kafka/EventLogKafka", "infra/kafka/EventLogKafka"],
  ["apps/cli/bin/tidemark.mjs", "vitest", "vitest"],
  ["apps/demo-shop/x.ts", "node:http", "node:http"],
  ["apps/dashboard/src/x.tsx", "@tidemark/domain/time/rfc3339", "domain/time/rfc3339"],
  ["apps/dashboard/vite.config.ts", "node:fs", "node:fs"],
  ["apps/bench/x.ts", "lmdb", "lmdb"],
  ["apps/bench/benchLog.ts", "@tidemark/infra-kafka/EventLogKafka", "infra/kafka/EventLogKafka"],
  ["apps/bench/foldMain.ts", "@tidemark/infra-redis/PubSubRedis", "infra/redis/PubSubRedis"],
  ["apps/bench/rebuildDistributed.ts", "@tidemark/infra-kafka/EventLogKafka", "infra/kafka/EventLogKafka"],
  ["apps/bench/search.ts", "@elastic/elasticsearch", "@elastic/elasticsearch"],
  ["new-room/x.ts", "effect/Effect", "effect/Effect"]
]

/** Every way to name a module, all of them on line 2. */
const ways = (module: string): readonly string[] =>
  [
    `import { x } from "${module}"`,
    `import type { X } from "${module}"`,
    `import { type X } from "${module}"`,
    `import "${module}"`,
    `export { x } from "${module}"`,
    `export type { X } from "${module}"`,
    `export * from "${module}"`,
    `export const x = await import("${module}")`,
    `export const x = () => import(\`${module}\`)`,
    `export type X = import("${module}").X`,
    `export type X = typeof import("${module}")`,
    `import x = require("${module}")`,
    `export const x = require("${module}")`
  ].map((line) => `/* ä 🌊 */ export const first = 1\n${line}\n`)

describe("the table of imports", () => {
  it.each(refused)("refuses to %s the module %s, in every way to name it", (file, module, target) => {
    for (const text of ways(module)) expect(gate(file, text)).toEqual([`${file}:2 imports ${target}`])
  })

  it("has a refusal above for every row", () => {
    const files = refused.map(([file]) => file)
    expect(importTable.filter(({ at }) => !files.some((file) => (at === "" ? !file.includes("/") : file === at || file.startsWith(at + "/"))))).toEqual([])
  })

  it("refuses a module that is computed, except where it is listed", () => {
    expect(gate("domain/x.ts", "export const x = (name: string) => import(name)")).toEqual([`domain/x.ts:1 imports ${COMPUTED}`])
    expect(gate("infra/workspace/start.mjs", "export const x = (name) => import(name)")).toEqual([])
  })

  it("allows a room itself, what is listed, and to specs what is listed for them", () => {
    for (const text of ways("./time/rfc3339.ts")) expect(gate("domain/x.ts", text)).toEqual([])
    for (const text of ways("@tidemark/domain/ports/EventLog")) expect(gate("projections/x.ts", text)).toEqual([])
    for (const text of ways("vitest")) expect(gate("domain/x.spec.ts", text)).toEqual([])
    for (const text of ways("vitest")) expect(gate("domain/x.ts", text)).toHaveLength(1)
  })
})

describe("the sources", () => {
  const found = new Map<string, readonly FoundImport[]>(
    listed("*.ts", "*.tsx", "*.mts", "*.cts", "*.js", "*.jsx", "*.mjs", "*.cjs").map((file) => [file, importsIn(file, textOf(file), folders)])
  )

  it("import nothing that the table does not list", () => {
    expect(found.size).toBeGreaterThan(700)
    expect([...found.values()].flat().length).toBeGreaterThan(3_000)
    expect([...found].flatMap(([file, imports]) => refusals(importTable, file, imports))).toEqual([])
  })

  it("need every row and every entry of it", () => {
    const files = [...found]
    const idle = importTable.flatMap(({ at, imports }) => {
      const own = files.filter(([file]) => file === at || file.startsWith(at + "/") || (at === "" && !file.includes("/")))
      const unused = imports.filter((entry) => !own.some(([, targets]) => targets.some(({ target }) => covers(entry, target))))
      return own.length === 0 ? [`${at}: no such source`] : unused.map((entry) => `${at}: ${entry}`)
    })
    expect(idle).toEqual([])
  })
})
