/** Sending refused events again over GraphQL: who may, what is answered, and what the list tells afterwards. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { makeAcceptEvents } from "@tidemark/commands/accept-events/acceptEvents"
import { emptyIndex, fakeHashSeed, makeFakeLog } from "@tidemark/commands/accept-events/fakes"
import { makeSchemaRegistry } from "@tidemark/commands/accept-events/schemas"
import { makeFakeEventStore } from "@tidemark/commands/settings/fakes"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import { portsOf } from "@tidemark/queries/fakePorts"
import { World } from "@tidemark/queries/fakes"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import type { KeyHolder } from "./context.ts"
import { makeApiHandlers } from "./makeApiHandlers.ts"
import { makeRedriveDesk } from "./redriveDesk.ts"

const KEYS: Readonly<Record<string, KeyHolder>> = { reader: { tenantId: "t", kind: "read" }, admin: { tenantId: "t", kind: "admin", keyPrefix: "tm_admin" }, strict: { tenantId: "strict", kind: "admin" } }
const schemas = makeSchemaRegistry([{ type: "viewed", version: 1, schema: { type: "object", properties: { page: { type: "string" } }, required: ["page"] } }])
const entry = (entryId: string, tenantId: string, body: object) =>
  ({ tenantId, entryId, receivedAtMs: 1_000, eventId: `e-${entryId}`, eventType: "viewed", code: "schema", pointer: "/data", detail: "", origin: null, body: JSON.stringify({ id: `e-${entryId}`, userId: "ann", ...body }) })

interface Answer {
  readonly data?: Record<string, unknown> | null
  readonly errors?: readonly { readonly extensions: Readonly<Record<string, unknown>> }[]
}
const codeOf = ({ errors }: Answer): unknown => errors?.[0]?.extensions["code"]

const withApi = async (body: (post: (query: string, key?: string) => Promise<Answer>, log: ReturnType<typeof makeFakeLog>) => Promise<void>, takesEvents = true) => {
  const [world, log] = [new World(), makeFakeLog(2)]
  world.rejected.push(entry("1", "t", { type: "viewed", data: { page: "/" } }), entry("2", "t", { type: "viewed", data: { page: 7 } }), entry("3", "strict", { type: "other" }))
  const services = portsOf(world).pipe(Context.add(EventStore, makeFakeEventStore().shape))
  const accept = await Effect.runPromise(makeAcceptEvents({ schemas, hashSeed: fakeHashSeed }).pipe(Effect.provideService(EventLog, log.shape), Effect.provideService(PartitionIndex, emptyIndex), Effect.provide(services)))
  const redrives = makeRedriveDesk({ services, accept, isStrict: (tenantId) => tenantId === "strict" })
  const api = makeApiHandlers({ services, resolveKey: (text) => KEYS[text], ...(takesEvents ? { redrives } : {}) })
  const server = createServer((req, res) => void api.handleGraphql(req, res))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`
  const post = async (query: string, key = "admin") =>
    (await (await fetch(url, { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${key}` }, body: JSON.stringify({ query }) })).json()) as Answer
  try {
    await body(post, log)
  } finally {
    await api.close()
    await new Promise((resolve) => server.close(resolve))
  }
}

const LIST = "{ rejectedEvents { edges { node { id redrive { eventId wasThere place { partition offset } actor reason } } } } }"
const redrive = (ids: readonly string[], more = "", reason = "schema mended") =>
  `mutation { redriveRejected(ids: ${JSON.stringify(ids)}, reason: "${reason}"${more}) { appended entries { id verdict eventId place { partition offset } refusal { code pointer detail hint } } } }`

describe("refused events", () => {
  it("are sent again once, under their own id, and the list says so", () => withApi(async (post, log) => {
    expect((await post(redrive(["1", "2", "x"], ", dryRun: true"))).data).toMatchObject({ redriveRejected: { appended: 0, entries: [
      { id: "1", verdict: "APPEND", eventId: "e-1", place: null, refusal: null }, { id: "2", verdict: "REJECTED", refusal: { code: "schema", pointer: "/data/page" } }, { id: "x", verdict: "UNKNOWN", eventId: null }
    ] } })
    expect(log.stored.flat()).toHaveLength(0)
    expect((await post(redrive(["1"]))).data).toMatchObject({ redriveRejected: { appended: 1, entries: [{ verdict: "APPEND", place: { offset: "0" } }] } })
    expect((await post(redrive(["1"]))).data).toMatchObject({ redriveRejected: { appended: 0, entries: [{ verdict: "DONE", place: { offset: "0" } }] } })
    expect((await post(redrive(["2"], `, body: ${JSON.stringify(JSON.stringify({ type: "viewed", data: { page: "/" } }))}`))).data).toMatchObject({ redriveRejected: { appended: 1 } })
    expect(log.stored.flat()).toHaveLength(2)
    const done = { wasThere: false, actor: "tm_admin", reason: "schema mended" }
    expect((await post(LIST, "reader")).data).toMatchObject({ rejectedEvents: { edges: [{ node: { id: "2", redrive: { ...done, eventId: "e-2" } } }, { node: { id: "1", redrive: { ...done, eventId: "e-1", place: { offset: "0" } } } }] } })
    expect((await post(LIST, "strict")).data).toMatchObject({ rejectedEvents: { edges: [{ node: { id: "3", redrive: null } }] } })
  }))

  it("are sent again by admin keys only, of their own tenant, by its rules, with a reason, where events are taken", async () => {
    await withApi(async (post, log) => {
      expect(codeOf(await post(redrive(["1"]), "reader"))).toBe("FORBIDDEN")
      expect((await post(redrive(["1", "3"]), "strict")).data).toMatchObject({ redriveRejected: { appended: 0, entries: [{ verdict: "UNKNOWN" }, { verdict: "REJECTED", refusal: { code: "unknown-type" } }] } })
      expect(codeOf(await post(redrive(["1"], "", " ")))).toBe("BAD_ARGUMENT")
      expect(codeOf(await post(redrive([])))).toBe("BAD_ARGUMENT")
      expect(codeOf(await post(redrive(["1"], ', body: "{\\"id\\":\\"another\\"}"')))).toBe("BAD_ARGUMENT")
      log.control.behaviours.push("reject")
      expect((await post(redrive(["1"]))).data).toMatchObject({ redriveRejected: { appended: 0, entries: [{ verdict: "FAILED" }] } })
    })
    await withApi(async (post) => {
      expect(codeOf(await post(redrive(["1"])))).toBe("UNAVAILABLE")
      expect((await post(LIST)).data).toMatchObject({ rejectedEvents: { edges: [{ node: { redrive: null } }, {}] } })
    }, false)
  })
})
