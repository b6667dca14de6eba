/** Dead letters over GraphQL, on engines in memory that the real runtime folds: the event of each, and the version that would count it. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { makeFakeEventStore } from "@tidemark/commands/settings/fakes"
import { defineProjection } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { encodeEvent } from "@tidemark/domain/events/envelope"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { LogRecord } from "@tidemark/domain/ports/EventLog"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { portsOf } from "@tidemark/queries/fakePorts"
import { World } from "@tidemark/queries/fakes"
import { makeFoldedLog } from "@tidemark/replay/foldedLog"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import type { KeyHolder } from "./context.ts"
import { makeApiHandlers } from "./makeApiHandlers.ts"
import { makeRebuildDesk } from "./rebuildDesk.ts"

const NOW_MS = Date.parse("2026-03-20T12:00:00.000Z")
const KEYS: Readonly<Record<string, KeyHolder>> = { reader: { tenantId: "t", kind: "read" }, stranger: { tenantId: "u", kind: "read" } }

const orders = (version: number, scale: number, filter?: string): ProjectionDefinition => defineProjection({
  name: "orders", version, handles: [{ type: "paid" }], key: { currency: "event.data.currency" }, measures: { amount: { kind: "sum", of: "event.data.amount", scale, required: true } },
  ...(filter === undefined ? {} : { filter })
})

const paid = (id: string, data: object): LogRecord => ({
  partition: 0, key: "k",
  value: encodeEvent({ id, source: "s", type: "paid", timeMs: NOW_MS - 1_000, receivedAtMs: NOW_MS, tenantId: "t", partitionKey: "t:ann", userId: "ann", schemaVersion: 0 }, JSON.stringify(data))
})

const LETTERS = '{ deadLetters(projection: "orders") { edges { node { partition offset code pointer foldedByVersion event { id type data } } } } }'

/** Partition 0: genesis, a good order (1), one with too many digits (2), one without an amount (3), one with too many digits that is a test (4). */
const lettersOf = async (shipped: ProjectionDefinition, change: (records: Uint8Array[]) => void = () => {}, key = "reader"): Promise<readonly Record<string, unknown>[]> => {
  const world = makeFoldedLog([orders(1, 2)], NOW_MS)
  await world.fold([paid("good", { currency: "EUR", amount: "1.50" }), paid("fine", { currency: "EUR", amount: "1.505" }), paid("none", { currency: "EUR" }), paid("test", { currency: "EUR", amount: "1.505", test: true })])
  change(world.logDisk.partitions[0]?.records ?? [])
  const services = await world.run(Effect.gen(function* () {
    const ports = Context.make(EventLog, yield* EventLog).pipe(Context.add(ReadModelStore, yield* ReadModelStore), Context.add(EventStore, makeFakeEventStore().shape))
    return Context.merge(portsOf(new World()), ports)
  }))
  const rebuilds = makeRebuildDesk({ services, definitions: [shipped], tenants: () => ["t"], diskFreeBytes: () => undefined, standbyMs: 0, rate: { of: () => undefined, last: () => undefined }, throttle: () => undefined })
  const api = makeApiHandlers({ services, resolveKey: (text) => KEYS[text], rebuilds })
  const server = createServer((req, res) => void api.handleGraphql(req, res))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  try {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`, { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${key}` }, body: JSON.stringify({ query: LETTERS }) })
    const { data } = (await response.json()) as { readonly data: { readonly deadLetters: { readonly edges: readonly { readonly node: Record<string, unknown> }[] } } }
    return data.deadLetters.edges.map(({ node }) => node)
  } finally {
    await api.close()
    await new Promise((resolve) => server.close(resolve))
  }
}

const DIGITS = { partition: 0, code: "DECIMAL_SCALE", pointer: "/measures/amount" }

describe("dead letters", () => {
  it("show their events, and no version while the served definition is the shipped one", async () => {
    expect(await lettersOf(orders(1, 2))).toMatchObject([
      { ...DIGITS, offset: "2", foldedByVersion: null, event: { id: "fine", type: "paid", data: { amount: "1.505" } } },
      { code: "MEASURE_MISSING", offset: "3", foldedByVersion: null, event: { id: "none" } },
      { ...DIGITS, offset: "4", event: { id: "test" } }
    ])
    expect(await lettersOf(orders(1, 2), undefined, "stranger")).toEqual([])
  })

  it("name the shipped version where a rebuild with it would count the event, and only there", async () => {
    const found = await lettersOf(orders(2, 3, "event.data.test != true"))
    expect(found.map(({ offset, foldedByVersion }) => [offset, foldedByVersion])).toEqual([["2", 2], ["3", null], ["4", null]])
  })

  it("are listed though the record behind one can no longer be read", async () => {
    const found = await lettersOf(orders(2, 3), (records) => (records[2] = new TextEncoder().encode("{")))
    expect(found).toMatchObject([{ offset: "2", event: null, foldedByVersion: null }, { offset: "3" }, { offset: "4", foldedByVersion: 2 }])
  })
})
