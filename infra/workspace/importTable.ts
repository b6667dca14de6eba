/** Who may import whom: whatever is not listed here is refused. */
import { COMPUTED, type ImportRow } from "./importGate.ts"

/** What every specification may use; those of the pure rooms no more than that. */
const TESTS = ["vitest", "fast-check"]

/** What the specifications of adapters and programs use beside that. */
const PROCESSES = [
  ...TESTS,
  "node:child_process", "node:crypto", "node:events", "node:fs", "node:http", "node:net", "node:os", "node:path", "node:readline",
  "node:timers/promises", "node:url", "node:util", "node:worker_threads", "node:zlib"
]

/** Modules of Effect, each by its own path: its root loads them all. */
const EFFECT = "effect/*"

const pureRooms: readonly ImportRow[] = [
  { at: "domain", imports: [EFFECT, "@marcbachmann/cel-js", "@noble/hashes"], specs: [...TESTS, "@datadog/sketches-js"] },
  { at: "domain/events/types/catalogue.spec.ts", imports: ["node:fs"] },
  { at: "projections", imports: [EFFECT, "domain", "@noble/hashes"], specs: TESTS },
  {
    at: "commands",
    imports: [EFFECT, "domain", "node:crypto", "ajv", "ajv-formats", "re2js", "secure-json-parse", "uuid"],
    specs: TESTS
  },
  { at: "queries", imports: [EFFECT, "domain"], specs: TESTS },
  { at: "replay", imports: [EFFECT, "domain", "projections", "node:crypto"], specs: TESTS },
  { at: "replay/copyLog.spec.ts", imports: ["infra/embedded", "node:fs", "node:os", "node:path"] }
]

const infra: readonly ImportRow[] = [
  {
    at: "infra/embedded",
    imports: [EFFECT, "domain", "lmdb", "node:crypto", "node:fs", "node:os", "node:path", "node:worker_threads", "node:zlib"],
    specs: PROCESSES
  },
  { at: "infra/postgres", imports: [EFFECT, "domain", "pg"], specs: PROCESSES },
  { at: "infra/postgres/figures.ts", imports: ["node:fs"] },
  { at: "infra/postgres/faultProxy.ts", imports: ["node:net"] },
  { at: "infra/postgres/testDatabase.ts", imports: ["node:crypto"] },
  { at: "infra/postgres/testCluster.ts", imports: ["node:child_process", "node:fs", "node:net", "node:os", "node:path"] },
  { at: "infra/redis", imports: [EFFECT, "domain", "ioredis", "node:crypto"], specs: PROCESSES },
  { at: "infra/redis/redisProcess.ts", imports: ["node:child_process", "node:events", "node:net", "node:timers/promises"] },
  { at: "infra/eventstoredb", imports: [EFFECT, "domain", "@eventstore/db-client"], specs: PROCESSES },
  { at: "infra/eventstoredb/double", imports: ["@grpc/grpc-js", "node:crypto", "node:fs"] },
  {
    at: "infra/eventstoredb/doubleProcess.ts",
    imports: ["node:child_process", "node:events", "node:fs", "node:os", "node:path", "node:readline"]
  },
  { at: "infra/kafka", imports: [EFFECT, "domain", "@platformatic/kafka", "kafkajs", "node:timers/promises"], specs: PROCESSES },
  { at: "infra/elasticsearch", imports: [EFFECT, "domain", "@elastic/elasticsearch"], specs: PROCESSES },
  { at: "infra/elasticsearch/specNamespace.ts", imports: ["node:crypto"] },
  { at: "infra/elasticsearch/faultProxy.ts", imports: ["node:events", "node:http", "node:net"] },
  { at: "infra/telemetry", imports: ["pino", "prom-client"], specs: TESTS },
  {
    at: "infra/wiring",
    imports: [
      EFFECT, "domain/ports", "infra/elasticsearch", "infra/embedded", "infra/eventstoredb", "infra/kafka", "infra/postgres", "infra/redis",
      "infra/telemetry", "node:crypto", "node:fs", "node:os", "node:path", "node:worker_threads"
    ],
    specs: [...PROCESSES, "domain"]
  },
  { at: "infra/wiring/fixtures/readingWorker.mjs", imports: ["node:worker_threads"] },
  { at: "infra/deploy", imports: [], specs: [...PROCESSES, "infra/wiring"] },
  {
    at: "infra/dev-engines",
    imports: ["node:child_process", "node:crypto", "node:fs", "node:net", "node:os", "node:path", "node:timers/promises", "node:util"]
  },
  { at: "infra/workspace", imports: ["node:child_process", "node:crypto", "node:fs", "node:os", "node:path"], specs: PROCESSES },
  { at: "infra/workspace/importGate.ts", imports: ["vitest"] },
  { at: "infra/workspace/sim.mjs", imports: ["apps/server/simulation", "projections/simulation"] },
  { at: "infra/workspace/start.mjs", imports: [COMPUTED, "node:url"] },
  { at: "infra/workspace/test-engines.mjs", imports: ["infra/dev-engines", "node:util"] }
]

const apps: readonly ImportRow[] = [
  {
    at: "apps/ingest",
    imports: [EFFECT, "domain", "commands", "node:crypto", "node:http", "node:net", "node:util", "node:zlib"],
    specs: PROCESSES
  },
  {
    at: "apps/api",
    imports: [
      EFFECT, "domain", "commands", "queries", "replay", "@escape.tech/graphql-armor", "graphql", "graphql-ws", "graphql-yoga",
      "reflect-metadata", "type-graphql", "ws", "node:crypto", "node:http", "node:stream"
    ],
    specs: PROCESSES
  },
  { at: "apps/api/printSchema.ts", imports: ["node:fs"] },
  { at: "apps/projector", imports: [EFFECT, "domain", "projections", "node:util", "node:worker_threads"], specs: PROCESSES },
  { at: "apps/projector/workerMain.ts", imports: ["infra/wiring"] },
  { at: "apps/projector/eventSearch.engines.spec.ts", imports: ["infra/elasticsearch", "infra/embedded"] },
  { at: "apps/projector/ranking.engines.spec.ts", imports: ["infra/elasticsearch", "queries"] },
  { at: "apps/projector/searchPublisher.engines.spec.ts", imports: ["infra/elasticsearch"] },
  {
    at: "apps/server",
    imports: [
      EFFECT, "domain", "projections", "commands", "replay", "apps/api", "apps/demo-shop", "apps/ingest", "apps/projector",
      "node:child_process", "node:crypto", "node:fs", "node:http", "node:net", "node:os", "node:path", "node:readline", "node:stream",
      "node:timers/promises", "node:url", "node:util", "node:worker_threads"
    ],
    specs: [...PROCESSES, "apps/cli", "graphql-ws", "infra/embedded", "infra/wiring", "playwright-core", "ws"]
  },
  { at: "apps/server/main.ts", imports: ["infra/wiring"] },
  { at: "apps/server/crash/main.ts", imports: ["infra/wiring"] },
  { at: "apps/server/workerMain.ts", imports: ["infra/wiring"] },
  { at: "apps/server/fixtures/plainCounts.ts", imports: ["node:zlib"] },
  { at: "apps/server/heldEvents.ts", imports: ["vitest"] },
  { at: "apps/server/plantedRows.ts", imports: ["vitest"] },
  { at: "apps/server/rebuild.engines.spec.ts", imports: ["infra/postgres"] },
  { at: "apps/server/rebuildLoad.ts", imports: ["vitest"] },
  { at: "apps/server/secondStart.e2e.spec.ts", imports: [COMPUTED] },
  { at: "apps/server/refusedEvents.ts", imports: ["vitest"] },
  { at: "apps/server/usePages.ts", imports: ["vitest", "playwright-core"] },
  { at: "apps/server/useProcesses.ts", imports: ["vitest"] },
  {
    at: "apps/cli",
    imports: [
      EFFECT, "domain", "commands", "replay", "commander", "csv-parse", "graphql-ws", "ws", "yaml", "node:crypto", "node:events", "node:fs", "node:net",
      "node:path", "node:stream", "node:stream/consumers", "node:timers/promises", "node:zlib"
    ],
    specs: PROCESSES
  },
  { at: "apps/cli/main.ts", imports: ["infra/wiring"] },
  { at: "apps/cli/bin/tidemark.mjs", imports: [COMPUTED, "node:url"] },
  { at: "apps/demo-shop", imports: [], specs: TESTS },
  {
    at: "apps/dashboard",
    imports: [
      "@tanstack/react-query", "@visx/axis", "@visx/grid", "@visx/group", "@visx/scale", "@visx/shape", "graphql-ws", "react", "react-dom"
    ],
    specs: TESTS
  },
  { at: "apps/dashboard/vite.config.ts", imports: ["@vitejs/plugin-react", "vite"] },
  {
    at: "apps/bench",
    imports: [
      EFFECT, "domain", "projections", "apps/projector", "apps/server", "infra/wiring", "autocannon", "graphql-ws", "ws",
      "node:child_process", "node:crypto", "node:events", "node:fs", "node:http", "node:os", "node:path", "node:url", "node:worker_threads"
    ],
    specs: TESTS
  },
  { at: "apps/bench/benchLog.ts", imports: ["infra/embedded"] },
  { at: "apps/bench/foldMain.ts", imports: ["infra/embedded"] },
  { at: "apps/bench/rebuildDistributed.ts", imports: ["replay"] },
  { at: "apps/bench/search.ts", imports: ["infra/elasticsearch"] }
]

/** The whole table; a row of `""` speaks of the files of the root. */
export const importTable: readonly ImportRow[] = [
  { at: "", imports: ["vitest", "vitest.config.ts", "node:fs", "node:module", "node:path"] },
  ...pureRooms,
  ...infra,
  ...apps
]
