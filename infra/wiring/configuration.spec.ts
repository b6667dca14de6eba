import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { ConfigurationError, explainConfiguration, rejectedLimitsOf, readConfiguration } from "./configuration.ts"

describe("configuration", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-config-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const read = (environment: Record<string, string> = {}, flags: [string, string][] = [], terminal = false) =>
    readConfiguration({ flags: new Map(flags), environment, workingDirectory: directory, terminal })

  const distributed = {
    TIDEMARK_MODE: "distributed", TIDEMARK_KAFKA_BROKERS: "127.0.0.1:9092", TIDEMARK_POSTGRES_URL: "postgres://127.0.0.1/tidemark",
    TIDEMARK_ELASTICSEARCH_URL: "http://127.0.0.1:9200", TIDEMARK_REDIS_URL: "redis://127.0.0.1", TIDEMARK_EVENTSTORE_URL: "esdb://127.0.0.1:2113?tls=false"
  }

  it("prefers a flag to the environment, the environment to the file, the file to the default", () => {
    expect(read().port).toEqual({ value: 4000, source: "default" })
    writeFileSync(join(directory, "tidemark.json"), JSON.stringify({ TIDEMARK_PORT: 4100 }))
    expect(read().port).toEqual({ value: 4100, source: "file" })
    expect(read({ TIDEMARK_PORT: "4200" }).port).toEqual({ value: 4200, source: "environment" })
    expect(read({ TIDEMARK_PORT: "4200" }, [["port", "4300"]]).port).toEqual({ value: 4300, source: "flag" })
  })

  it("derives lanes from the partitions, at most 4", () => {
    expect(read({ TIDEMARK_PARTITIONS: "2" }).lanes.value).toBe(2)
    expect(read({ TIDEMARK_PARTITIONS: "12" }).lanes.value).toBe(4)
  })

  it("folds a rebuild on every processor unless it is told how many threads to use", () => {
    expect(read().rebuildThreads).toEqual({ value: availableParallelism(), source: "default" })
    expect(read({ TIDEMARK_REBUILD_THREADS: "1" }).rebuildThreads.value).toBe(1)
    expect([read().rebuildsMax.value, read({ TIDEMARK_REBUILDS_MAX: "3" }).rebuildsMax.value]).toEqual([1, 3])
    expect([read().standbySeconds.value, read({ TIDEMARK_STANDBY_SECONDS: "0" }).standbySeconds.value]).toEqual([86_400, 0])
    expect(() => read({ TIDEMARK_REBUILD_THREADS: "0" })).toThrow(/from 1 to 64/)
  })

  it("gives ingest 1 GiB to know duplicates by unless it is told how much, and shows it with the other settings", () => {
    expect(read().dedupeBytesMax).toEqual({ value: 1_073_741_824, source: "default" })
    const configured = read({ TIDEMARK_DEDUPE_BYTES_MAX: "268435456" })
    expect(configured.dedupeBytesMax).toEqual({ value: 268_435_456, source: "environment" })
    expect(explainConfiguration(configured)).toContainEqual({ name: "TIDEMARK_DEDUPE_BYTES_MAX", value: "268435456", source: "environment" })
    for (const wrong of ["1GB", "1048575", "0"]) expect(() => read({ TIDEMARK_DEDUPE_BYTES_MAX: wrong })).toThrow(/from 1048576 to 1099511627776/)
  })

  it("keeps rejected events for 30 days and 256 MiB of a tenant unless it is told otherwise, and shows it", () => {
    expect(rejectedLimitsOf(read())).toEqual({ bytesMax: 268_435_456, keepMs: 30 * 86_400_000 })
    const configured = read({ TIDEMARK_REJECTED_BYTES_MAX: "1048576", TIDEMARK_REJECTED_DAYS: "7" })
    expect(rejectedLimitsOf(configured)).toEqual({ bytesMax: 1_048_576, keepMs: 7 * 86_400_000 })
    expect(explainConfiguration(configured)).toEqual(expect.arrayContaining([{ name: "TIDEMARK_REJECTED_BYTES_MAX", value: "1048576", source: "environment" }, { name: "TIDEMARK_REJECTED_DAYS", value: "7", source: "environment" }]))
    expect(() => read({ TIDEMARK_REJECTED_BYTES_MAX: "1048575" })).toThrow(/from 1048576/)
    expect(() => read({ TIDEMARK_REJECTED_DAYS: "0" })).toThrow(/from 1 to 3650/)
  })

  it("runs the demo by default on a terminal only", () => {
    expect(read().demo.value).toBe(false)
    expect(read({}, [], true).demo.value).toBe(true)
    expect(read({ TIDEMARK_DEMO: "1" }).demo.value).toBe(true)
    expect(read({ TIDEMARK_DEMO: "false" }, [], true).demo.value).toBe(false)
    for (const wrong of ["yes", "on", "2"]) expect(() => read({ TIDEMARK_DEMO: wrong })).toThrow(`TIDEMARK_DEMO is "${wrong}": give 1 or 0.`)
  })

  it("refuses a host beyond loopback without an admin key", () => {
    expect(() => read({ TIDEMARK_HOST: "0.0.0.0" })).toThrow(/TIDEMARK_ADMIN_KEY/)
    expect(read({ TIDEMARK_HOST: "0.0.0.0", TIDEMARK_ADMIN_KEY: "a".repeat(24) }).host.value).toBe("0.0.0.0")
  })

  it("says which value is wrong and what to give instead", () => {
    expect(() => read({ TIDEMARK_PORT: "http" })).toThrow(ConfigurationError)
    expect(() => read({ TIDEMARK_PORT: "http" })).toThrow(/from 0 to 65535/)
    expect(() => read({ TIDEMARK_WRITE_KEY: "short" })).toThrow(/at least 24/)
  })

  it("takes roles by name, in distributed mode only, and namespaces that are names everywhere", () => {
    expect(read().roles.value).toEqual(["ingest", "projector", "api", "replay", "alerts", "dashboard"])
    expect(() => read({ TIDEMARK_ROLES: "ingest" })).toThrow(/distributed mode only/)
    expect(read({ ...distributed, TIDEMARK_ROLES: "api, ingest" }).roles.value).toEqual(["ingest", "api"])
    expect(() => read({ ...distributed, TIDEMARK_ROLES: "worker" })).toThrow(/one or more of ingest, projector/)
    expect(() => read({ TIDEMARK_NAMESPACE: "Acme-1" })).toThrow(/lower-case letters/)
    expect(read({ TIDEMARK_NAMESPACE: "acme_1" }).namespace.value).toBe("acme_1")
  })

  it("needs every engine in distributed mode, and takes addresses from the engines started here last", () => {
    expect(() => read({ TIDEMARK_MODE: "clustered" })).toThrow(/"embedded" or "distributed"/)
    expect(() => read({ TIDEMARK_MODE: "distributed" })).toThrow(/TIDEMARK_KAFKA_BROKERS is not set.*npm run engines/)
    mkdirSync(join(directory, ".tidemark"))
    writeFileSync(join(directory, ".tidemark", "engines.json"), JSON.stringify({ variables: { ...distributed, TIDEMARK_KAFKA_BROKERS: "127.0.0.1:1" } }))
    expect(read({ TIDEMARK_MODE: "distributed" }).kafkaBrokers).toEqual({ value: "127.0.0.1:1", source: "engines" })
    expect(read(distributed).kafkaBrokers).toEqual({ value: "127.0.0.1:9092", source: "environment" })
    expect(read().kafkaBrokers.value).toBeUndefined()
  })

  it("has more partitions and no demo in distributed mode unless told otherwise", () => {
    const { partitions, lanes, demo } = read(distributed, [], true)
    expect([partitions.value, lanes.value, demo.value]).toEqual([12, 4, false])
  })

  it("shows no password of an address", () => {
    const lines = explainConfiguration(read({ ...distributed, TIDEMARK_POSTGRES_URL: "postgres://app:canary@127.0.0.1/db" }))
    expect(lines).toContainEqual({ name: "TIDEMARK_POSTGRES_URL", value: "postgres://app:********@127.0.0.1/db", source: "environment" })
  })

  it("explains every value with its source and shows no key", () => {
    const lines = explainConfiguration(read({ TIDEMARK_READ_KEY: "canary-canary-canary-canary" }))
    expect(lines).toContainEqual({ name: "TIDEMARK_READ_KEY", value: "********", source: "environment" })
    expect(JSON.stringify(lines)).not.toContain("canary")
    expect(lines.map((line) => line.name)).toContain("TIDEMARK_DATA_DIR")
  })
})
