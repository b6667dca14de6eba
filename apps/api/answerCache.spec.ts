/** Questions asked twice: what the cache may answer, and what it must not. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { ResultCache, resultKeyText } from "@tidemark/domain/ports/ResultCache"
import type { ResultCacheShape } from "@tidemark/domain/ports/ResultCache"
import { portsOf } from "@tidemark/queries/fakePorts"
import { World } from "@tidemark/queries/fakes"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import type { KeyHolder } from "./context.ts"
import { makeApiHandlers } from "./makeApiHandlers.ts"

const START = Date.parse("2026-03-01T00:00:00Z")
const KEYS: Readonly<Record<string, KeyHolder>> = { reader: { tenantId: "acme", kind: "read" }, stranger: { tenantId: "other", kind: "read" } }
const RANGE = 'from: "2026-03-01T00:00:00Z", to: "2026-03-01T01:00:00.000Z"'
const SERIES = `{ series(projection: "page-views", measures: ["views", "visitors"], ${RANGE}, resolution: HOUR) { generation pointerVersion watermark position { partition offset } groups { key { name value } points { start state events revision measures { name value text exact errorBound } } } truncated } }`
const TOP = `{ top(projection: "page-views", measure: "views", by: "page", ${RANGE}) { rows { value events measure { text } } truncated } }`

const entriesOf = (): ResultCacheShape => {
  const entries = new Map<string, Uint8Array>()
  return {
    get: (key) => Effect.sync(() => entries.get(resultKeyText(key))),
    put: (key, value) => Effect.sync(() => void entries.set(resultKeyText(key), value))
  }
}

const session = async (cache: ResultCacheShape | undefined, keepAnswersFromMs: number, use: (world: World, ask: (query: string, key?: string) => Promise<unknown>, asked: string[]) => Promise<void>): Promise<void> => {
  const world = new World()
  const asked: string[] = []
  const ports = portsOf(world)
  const api = makeApiHandlers({
    services: cache === undefined ? ports : Context.add(ports, ResultCache, cache), resolveKey: (text) => KEYS[text], keepAnswersFromMs,
    metrics: { cacheAsked: (operation, hit) => void asked.push(`${operation} ${hit ? "hit" : "miss"}`) }
  })
  const server = createServer((req, res) => void api.handleGraphql(req, res))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const ask = async (query: string, key = "reader"): Promise<unknown> => {
    const { port } = server.address() as AddressInfo
    const response = await fetch(`http://127.0.0.1:${port}/graphql`, { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${key}` }, body: JSON.stringify({ query }) })
    return response.json()
  }
  try {
    world.fold(0, { id: "one", timeMs: START + 1_000, page: "/", user: "ann" })
    world.fold(1, { id: "two", timeMs: START + 2_000, page: "/", user: "bob" })
    await use(world, ask, asked)
  } finally {
    await api.close()
    await new Promise((resolve) => server.close(resolve))
  }
}

describe("an answer that was given", () => {
  it("is given again, equal to the last letter, without a row being read", () => session(entriesOf(), 0, async (world, ask, asked) => {
    for (const query of [SERIES, TOP]) {
      const first = await ask(query)
      const scans = world.scans.length
      expect(first).not.toHaveProperty("errors")
      expect(await ask(query)).toEqual(first)
      expect(world.scans.length).toBe(scans)
    }
    expect(asked).toEqual(["series miss", "series hit", "top miss", "top hit"])
  }))

  it("is not given to another tenant, to another question, or once anything was folded", () => session(entriesOf(), 0, async (world, ask, asked) => {
    const first = await ask(SERIES)
    expect(await ask(SERIES, "stranger")).not.toEqual(first)
    await ask(SERIES.replace("HOUR", "MINUTE"))
    await ask(SERIES.replace('"visitors"', '"visitors", "views"'))
    world.fold(0, { id: "three", timeMs: START + 3_000, page: "/", user: "ann" })
    const later = await ask(SERIES)
    expect(later).not.toEqual(first)
    expect(JSON.stringify(later)).toContain('"events":"3"')
    world.heartbeat(1, START + 7_200_000)
    await ask(SERIES)
    expect(asked).toEqual(Array.from({ length: 6 }, () => "series miss"))
  }))

  it("is kept only where making it took long", () => session(entriesOf(), 60_000, async (_world, ask, asked) => {
    await ask(TOP)
    await ask(TOP)
    expect(asked).toEqual(["top miss", "top miss"])
  }))

  it("is made each time without a cache", () => session(undefined, 0, async (world, ask, asked) => {
    const first = await ask(TOP)
    const scans = world.scans.length
    expect(await ask(TOP)).toEqual(first)
    expect(world.scans.length).toBeGreaterThan(scans)
    expect(asked).toEqual([])
  }))

  it("that was refused is refused again: failures are not kept", () => session(entriesOf(), 0, async (_world, ask, asked) => {
    const wrong = SERIES.replace('"views"', '"nothing"')
    expect(await ask(wrong)).toHaveProperty("errors")
    expect(await ask(wrong)).toHaveProperty("errors")
    expect(asked).toEqual(["series miss", "series miss"])
  }))
})
