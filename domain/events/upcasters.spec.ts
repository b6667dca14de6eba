import { describe, expect, it } from "vitest"
import { eventTypes } from "./types/catalogue.ts"
import { pageViewedV1 } from "./types/pageViewed.ts"
import { digestUpcasters, upcast, upcasters, upcasterSetHash } from "./upcasters.ts"

const [first] = upcasters
if (first === undefined) throw new RangeError("no upcaster ships")

describe("upcasters", () => {
  it("turns the recorded payloads of page.viewed 1 into version 2", () => {
    expect(pageViewedV1.fixtures.map((data) => upcast("page.viewed", data, 1, 2))).toEqual([
      { page: "/" },
      { page: "/pricing", durationMs: 12_000 },
      { page: "/docs/start", durationMs: 63 },
      { page: "/blog", theme: "dark" }
    ])
  })

  it("takes a virtual host of http.request 1 for one only where it is text", () => {
    const data = { ip: "203.0.113.9", status: 200 }
    expect(["a:80", undefined, null, 5].map((vhost) => upcast("http.request", { ...data, vhost }, 1, 2))).toEqual([{ ...data, vhost: "a:80" }, data, data, data])
  })

  it("leaves payloads at or above the version asked for as they are", () => {
    const data = { durationSeconds: 1 }
    expect(upcast("page.viewed", data, 2, 2)).toBe(data)
    expect(upcast("page.viewed", data, 3, 2)).toBe(data)
  })

  it("refuses a missing step and a payload that does not fit", () => {
    expect(() => upcast("page.viewed", {}, 2, 3)).toThrow(RangeError)
    expect(() => upcast("order.paid", {}, 1, 2)).toThrow(RangeError)
    expect(() => upcast("page.viewed", { durationSeconds: "12" }, 1, 2)).toThrow(TypeError)
    expect(() => upcast("page.viewed", [], 1, 2)).toThrow(TypeError)
    expect(() => upcast("page.viewed", null, 1, 2)).toThrow(TypeError)
  })

  it("has a step for every version that is not the newest of its type", () => {
    const newest = (type: string): number => Math.max(...eventTypes.filter((other) => other.type === type).map(({ version }) => version))
    const old = eventTypes.filter(({ type, version }) => version < newest(type))
    expect(old.map(({ type, version }) => `${type}:${version}`)).toEqual(upcasters.map(({ type, from }) => `${type}:${from}`))
  })
})

describe("upcaster set hash", () => {
  it("changes with a revision, with the result of a recorded payload, and with a further step", () => {
    const digests = [
      [first],
      [{ ...first, revision: first.revision + 1 }],
      [{ ...first, step: () => ({}) }],
      [first, { ...first, from: 2 }]
    ].map((steps) => digestUpcasters(steps, eventTypes))
    expect(new Set(digests).size).toBe(4)
    expect(digests[0]).toBe(upcasterSetHash([{ type: "page.viewed", upcastTo: 2 }]))
    expect(digests[0]).toMatch(/^[0-9a-f]{64}$/)
  })

  it("depends on the steps that the handled types use, and on no others", () => {
    expect(upcasterSetHash([{ type: "page.viewed", upcastTo: 2 }, { type: "http.request", upcastTo: 2 }])).toBe(upcasterSetHash())
    const unused = upcasterSetHash([{ type: "page.viewed", upcastTo: 1 }, { type: "order.paid", upcastTo: 2 }, { type: "*" }])
    expect(unused).toBe(upcasterSetHash([]))
    expect(unused).not.toBe(upcasterSetHash())
  })
})
