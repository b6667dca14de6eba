import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { kafkaPartition } from "@tidemark/domain/events/partitioning"
import { describe, expect, it } from "vitest"
import { KEYS, send } from "./processHarness.ts"
import { useProcesses } from "./useProcesses.ts"

const PARTITIONS = 4
const USERS = 40
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024
const root = fileURLToPath(new URL("../..", import.meta.url))

interface Consumed {
  readonly partition: number
  readonly offset: bigint
  readonly headers: string
  readonly key: string
  readonly value: string
}

/** The whole topic as Kafka's own console consumer prints it. */
const consume = async (topic: string): Promise<readonly Consumed[]> => {
  const { stdout } = await promisify(execFile)(process.execPath, ["infra/dev-engines/main.mjs", "consume", topic], { cwd: root, maxBuffer: OUTPUT_BYTES_MAX })
  return stdout.split("\u001E\n").slice(0, -1).map((record) => {
    const [partition = "", offset = "", headers = "", key = "", ...value] = record.split("\t")
    return { partition: Number(partition.replace("Partition:", "")), offset: BigInt(offset.replace("Offset:", "")), headers, key, value: value.join("\t") }
  })
}

/** By CloudEvents 1.0 §2.4 and §3: attribute names of lower-case letters and digits, the required ones present, types of the JSON format. */
const expectCloudEvent = (fields: Readonly<Record<string, unknown>>): void => {
  const { data: _, ...attributes } = fields
  expect(Object.keys(attributes).filter((name) => !/^[a-z0-9]+$/.test(name))).toEqual([])
  expect(fields["specversion"]).toBe("1.0")
  for (const name of ["id", "source", "type"]) expect([name, fields[name]]).toEqual([name, expect.stringMatching(/./)])
  expect(fields["time"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/)
  for (const [name, value] of Object.entries(attributes)) expect([name, ["string", "number", "boolean"].includes(typeof value)]).toEqual([name, true])
}

describe("a Kafka consumer of another make", () => {
  const { start } = useProcesses("foreign")

  it("reads all that ingest stored: each record a CloudEvent, in the partition that its key has in Kafka", async () => {
    const engines = Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (/^TIDEMARK_(KAFKA_BROKERS|[A-Z]+_URL)$/.test(name) && value !== undefined ? [[name, value]] : [])))
    const namespace = `foreign${randomBytes(4).toString("hex")}`
    const server = start({ ...engines, TIDEMARK_MODE: "distributed", TIDEMARK_NAMESPACE: namespace, TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_LANES: "2" })
    const { ingest = "" } = await server.ready
    const events = Array.from({ length: USERS }, (_, n) => ({
      id: `e${n}`, type: "page.viewed", userId: n % 3 === 0 ? `Zoë ${n} 日本` : `u${n}`, data: { page: `/p/${n}\t"ü"\n`, durationMs: n, referrer: null, userAgent: "Linux" }
    }))
    const nobodys = [{ id: "alone", type: "any.thing" }, { id: "visit", type: "any.thing", anonymousId: "a1", sessionId: "s1", data: [1, { deep: "✓" }] }]
    expect((await send(ingest, KEYS.write, [...events, ...nobodys])).body).toMatchObject({ accepted: USERS + nobodys.length })
    const imported = { id: "old", type: "page.viewed", time: "2020-02-29T23:59:59.999+02:00", userId: "u1", data: { page: "/old", durationMs: 1, referrer: null, userAgent: "Linux" } }
    expect((await send(ingest, KEYS.admin, [imported], { "tidemark-backfill": "old" })).body).toMatchObject({ accepted: 1 })
    server.child.kill("SIGTERM")
    await server.exit

    const records = await consume(`${namespace}.raw-events`)
    const parsed = records.map((record) => ({ record, fields: JSON.parse(record.value) as Record<string, unknown> }))
    for (const { record, fields } of parsed) {
      expectCloudEvent(fields)
      expect(record.headers).toBe("content-type:application/cloudevents+json")
    }
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const offsets = records.filter((record) => record.partition === partition).map(({ offset }) => offset)
      expect(offsets).toEqual(offsets.map((_, at) => BigInt(at)))
    }
    const stored = parsed.filter(({ fields }) => !String(fields["type"]).startsWith("tidemark."))
    expect(stored.map(({ fields }) => fields["id"]).sort()).toEqual([...events, ...nobodys, imported].map(({ id }) => id).sort())
    for (const { record, fields } of stored) {
      expect(record.key).toBe(fields["partitionkey"])
      expect([record.key, record.partition]).toEqual([record.key, kafkaPartition(record.key, PARTITIONS)])
    }
    expect(new Set(stored.map(({ record }) => record.partition)).size).toBe(PARTITIONS)
    expect(stored.find(({ fields }) => fields["id"] === "e3")?.fields).toMatchObject({ userid: "Zoë 3 日本", data: events[3]?.data })
    expect(stored.find(({ fields }) => fields["id"] === "old")?.fields).toMatchObject({ time: "2020-02-29T21:59:59.999Z", backfill: "old" })
  }, 300_000)
})
