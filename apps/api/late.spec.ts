/** Late events over GraphQL, on engines in memory that the real runtime folds: listed, released by hand, shown in lineage. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { defineProjection } from "@tidemark/domain/definitions/definition"
import { decodeRecord, encodeEvent } from "@tidemark/domain/events/envelope"
import { encodeHeartbeat } from "@tidemark/domain/events/systemRecords"
import { AppendRejectedError, AppendUnknownError, EventLog } from "@tidemark/domain/ports/EventLog"
import type { LogRecord } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { portsOf } from "@tidemark/queries/fakePorts"
import { World } from "@tidemark/queries/fakes"
import { makeFoldedLog } from "@tidemark/replay/foldedLog"
import { verify } from "@tidemark/replay/verify"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import type { KeyHolder } from "./context.ts"
import { makeApiHandlers } from "./makeApiHandlers.ts"

const NOW_MS = Date.parse("2026-03-20T12:00:00.000Z")
const DAY_MS = 86_400_000
const OLD_MS = NOW_MS - 8 * DAY_MS
const OLD = new Date(OLD_MS).toISOString()
const KEYS: Readonly<Record<string, KeyHolder>> = { reader: { tenantId: "t", kind: "read" }, admin: { tenantId: "t", kind: "admin", keyPrefix: "tm_admin" }, stranger: { tenantId: "u", kind: "admin" } }

const views = defineProjection({ name: "views", version: 1, handles: [{ type: "viewed" }], key: { page: "event.data.page" }, measures: { views: { kind: "count" } } })
const byUser = defineProjection({ name: "users", version: 1, handles: [{ type: "viewed" }], key: { user: "event.subject" }, measures: { read: { kind: "sum", of: "event.data.ms" } } })
/** Takes every late event at once. */
const patient = defineProjection({ name: "patient", version: 1, handles: [{ type: "viewed" }], window: { reviseWithinMs: 400 * DAY_MS }, key: { page: "event.data.page" }, measures: { views: { kind: "count" } } })
/** Has forgotten the old window. */
const brief = defineProjection({ name: "brief", version: 1, handles: [{ type: "viewed" }], retentionDays: 2, key: { page: "event.data.page" }, measures: { views: { kind: "count" } } })

const view = (id: string, timeMs: number, tenantId = "t"): LogRecord => ({
  partition: 0, key: "k",
  value: encodeEvent({ id, source: "s", type: "viewed", timeMs, receivedAtMs: NOW_MS, tenantId, partitionKey: `${tenantId}:ann`, userId: "ann", schemaVersion: 0 }, '{"page":"/a","ms":"1.50"}')
})

interface Answer {
  readonly data?: Record<string, unknown> | null
  readonly errors?: readonly { readonly message: string; readonly extensions: Readonly<Record<string, unknown>> }[]
}
const codeOf = ({ errors }: Answer): unknown => errors?.[0]?.extensions["code"]

/** Partition 0: genesis, a heartbeat, "in time" (2), "held" (3), "late" (4), "held too" (5), of tenant u (6). */
const withApi = async (body: (world: ReturnType<typeof makeFoldedLog>, post: (query: string, key?: string) => Promise<Answer>, appends: { fault: AppendRejectedError | AppendUnknownError | undefined }) => Promise<void>) => {
  const world = makeFoldedLog([views, byUser, patient, brief], NOW_MS)
  await world.fold([
    { partition: 0, key: "", value: encodeHeartbeat(NOW_MS) }, { partition: 1, key: "", value: encodeHeartbeat(NOW_MS) },
    view("in time", NOW_MS - 1_000), view("held", OLD_MS), view("late", NOW_MS - 600_000), view("held too", OLD_MS + 1_000), view("theirs", OLD_MS, "u")
  ])
  const appends: { fault: AppendRejectedError | AppendUnknownError | undefined } = { fault: undefined }
  const services = await world.run(Effect.gen(function* () {
    const log = yield* EventLog
    const faulty: typeof log = { ...log, append: (batch) => Effect.suspend(() => (appends.fault === undefined ? log.append(batch) : Effect.fail(appends.fault))) }
    return Context.merge(portsOf(new World()), Context.make(EventLog, faulty).pipe(Context.add(ReadModelStore, yield* ReadModelStore)))
  }))
  const api = makeApiHandlers({ services, resolveKey: (text) => KEYS[text] })
  const server = createServer((req, res) => void api.handleGraphql(req, res))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`
  const post = async (query: string, key = "reader") =>
    (await (await fetch(url, { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${key}` }, body: JSON.stringify({ query }) })).json()) as Answer
  try {
    await body(world, post, appends)
  } finally {
    await api.close()
    await new Promise((resolve) => server.close(resolve))
  }
}

const LATE = "edges { node { eventId offset outcome reason wasHeld canApply lateByMs key { value } contribution { name text } } cursor } pageInfo { hasNextPage endCursor }"
interface Listed {
  readonly edges: readonly { readonly node: Record<string, unknown> }[]
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string }
}
const listOf = ({ data }: Answer): Listed => {
  if (data === undefined || data === null) throw new Error("no data")
  return data["lateEvents"] as Listed
}
const nodesOf = (answer: Answer) => listOf(answer).edges.map(({ node }) => node)
const APPLICATION = "applied events { partition offset eventId verdict releasedAt changes { projection generation windowStart key { name value } contribution { name text } } }"
const apply = (offsets: readonly number[], more = "", projection = "views", reason = "came back") =>
  `mutation { applyLateEvents(projection: "${projection}", reason: "${reason}", events: [${offsets.map((offset) => `{ partition: 0, offset: "${offset}" }`).join()}]${more}) { ${APPLICATION} } }`
const WINDOW = `{ window(projection: "views", key: [{ name: "page", value: "/a" }], start: "${OLD}", resolution: MINUTE) { events state corrections
  why { expectedEvents foundEvents fingerprintMatches events { edges { node { id } late { byMs releasedAt } } } } } }`

describe("late events", () => {
  it("are listed with the reason, what they changed or would have, and what can be released", () => withApi(async (_world, post) => {
    const held = { outcome: "HELD", reason: "AFTER_REVISION", wasHeld: true, canApply: true, key: [{ value: "/a" }], contribution: [{ name: "views", text: "1" }] }
    const late = { eventId: "late", offset: "4", outcome: "APPLIED", reason: "AFTER_CLOSE", wasHeld: false, canApply: false, lateByMs: 530_000 }
    expect(nodesOf(await post(`{ lateEvents(projection: "views") { ${LATE} } }`))).toMatchObject([{ ...held, eventId: "held", offset: "3", lateByMs: 8 * DAY_MS - 70_000 }, late, { ...held, eventId: "held too", offset: "5" }])
    expect(nodesOf(await post(`{ lateEvents(projection: "views", outcome: HELD) { ${LATE} } }`))).toMatchObject([{ eventId: "held" }, { eventId: "held too" }])
    expect(nodesOf(await post(`{ lateEvents(projection: "views", outcome: APPLIED) { ${LATE} } }`))).toMatchObject([{ eventId: "late" }])
    const first = await post(`{ lateEvents(projection: "views", outcome: HELD, first: 1) { ${LATE} } }`)
    const { pageInfo } = listOf(first)
    expect([nodesOf(first), pageInfo.hasNextPage]).toMatchObject([[{ eventId: "held" }], true])
    const second = await post(`{ lateEvents(projection: "views", outcome: HELD, first: 1, after: "${pageInfo.endCursor}") { ${LATE} } }`)
    expect([nodesOf(second), listOf(second).pageInfo]).toMatchObject([[{ eventId: "held too" }], { hasNextPage: false }])
    expect(nodesOf(await post(`{ lateEvents(projection: "brief", outcome: HELD) { ${LATE} } }`))).toMatchObject([{ eventId: "held", reason: "AFTER_REVISION", canApply: false }, { eventId: "held too" }])
    expect(nodesOf(await post(`{ lateEvents(projection: "patient") { ${LATE} } }`))).toMatchObject([{ eventId: "held", outcome: "APPLIED", reason: "AFTER_CLOSE", wasHeld: false }, {}, {}])
  }))

  it("that are held are released once in every projection that holds them, and marked in the lineage of the window", () => withApi(async (world, post) => {
    expect((await post(WINDOW)).data).toEqual({ window: null })
    const change = (projection: string, key: object, contribution: object) => ({ projection, generation: 1, windowStart: OLD, key: [key], contribution: [contribution] })
    const changes = [change("views", { name: "page", value: "/a" }, { name: "views", text: "1" }), change("users", { name: "user", value: "u:ann" }, { name: "read", text: "1.5" })]
    const planned = await post(apply([3, 3, 4, 6, 99], ", dryRun: true"), "admin")
    const verdicts = [{ offset: "3", eventId: "held", verdict: "APPLY", releasedAt: null, changes }, { offset: "4", eventId: "late", verdict: "APPLIED", changes: [] }, { offset: "6", eventId: null, verdict: "UNKNOWN", changes: [] }, { offset: "99", verdict: "UNKNOWN" }]
    expect(planned.data).toMatchObject({ applyLateEvents: { applied: 0, events: verdicts } })
    expect(world.logDisk.partitions[0]?.records).toHaveLength(7)

    const done = await post(apply([3, 4]), "admin")
    expect(done.data).toMatchObject({ applyLateEvents: { applied: 1, events: [{ offset: "3", verdict: "APPLY", releasedAt: "7" }, { offset: "4", verdict: "APPLIED", releasedAt: null }] } })
    expect(decodeRecord(world.logDisk.partitions[0]?.records[7] ?? new Uint8Array())).toMatchObject({ kind: "system", record: { system: "late-applied", partition: 0, offset: 3n, actor: "tm_admin", reason: "came back", original: { id: "held" } } })
    await world.fold([])
    const proved = { events: "1", state: "REVISED", corrections: "1", why: { expectedEvents: "1", foundEvents: "1", fingerprintMatches: true, events: { edges: [{ node: { id: "held" }, late: { byMs: 8 * DAY_MS - 70_000, releasedAt: "7" } }] } } }
    expect((await post(WINDOW)).data).toMatchObject({ window: proved })
    expect(nodesOf(await post(`{ lateEvents(projection: "users") { ${LATE} } }`))).toMatchObject([{ eventId: "held", outcome: "APPLIED", reason: "AFTER_REVISION", wasHeld: true, canApply: false }, {}, { eventId: "held too", outcome: "HELD" }])

    expect((await post(apply([3]), "admin")).data).toMatchObject({ applyLateEvents: { applied: 0, events: [{ verdict: "APPLIED" }] } })
    const again = world.logDisk.partitions[0]?.records[7] ?? new Uint8Array()
    await world.fold([{ partition: 0, key: "", value: again }])
    expect((await post(WINDOW)).data).toMatchObject({ window: proved })
    expect(await world.run(verify({ full: true, tenants: [], progress: () => {} }))).toMatchObject({ ok: true })
  }))

  it("are released by admin keys only, of their own tenant, with a reason, where the window still exists", () => withApi(async (world, post, appends) => {
    expect(codeOf(await post(apply([3])))).toBe("FORBIDDEN")
    expect((await post(apply([3]), "stranger")).data).toMatchObject({ applyLateEvents: { applied: 0, events: [{ eventId: null, verdict: "UNKNOWN" }] } })
    expect(codeOf(await post(apply([3], "", "views", " "), "admin"))).toBe("BAD_ARGUMENT")
    expect(codeOf(await post(apply([]), "admin"))).toBe("BAD_ARGUMENT")
    expect(codeOf(await post(apply(Array.from({ length: 101 }, () => 3)), "admin"))).toBe("BAD_ARGUMENT")
    expect(codeOf(await post(apply([3], "", "nope"), "admin"))).toBe("UNKNOWN_PROJECTION")
    expect((await post(apply([3], "", "brief"), "admin")).data).toMatchObject({ applyLateEvents: { applied: 0, events: [{ verdict: "EXPIRED", changes: [] }] } })
    appends.fault = new AppendRejectedError({ reason: "full" })
    expect(codeOf(await post(apply([3]), "admin"))).toBe("LOG_NOT_WRITABLE")
    appends.fault = new AppendUnknownError({ reason: "no answer" })
    expect(codeOf(await post(apply([3]), "admin"))).toBe("APPEND_UNKNOWN")
    appends.fault = undefined
    const stored = world.logDisk.partitions[0]?.records ?? []
    const original = stored[3] ?? new Uint8Array()
    stored[3] = view("another", OLD_MS).value
    expect(codeOf(await post(apply([3]), "admin"))).toBe("LOG_CHANGED")
    stored[3] = original
    expect(stored).toHaveLength(7)
  }))
})
