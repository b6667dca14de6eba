import { connect } from "node:net"
import { brotliCompressSync, gzipSync } from "node:zlib"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { ADMIN, WRITE, startIngest } from "./harness.ts"
import type { TestIngest } from "./harness.ts"
import { ROUTES } from "./routes.ts"

const json = (value: unknown) => JSON.stringify(value)

/** Sends raw text and answers all that comes back until the server closes; `then` is sent after `afterMs`. */
const raw = (port: number, text: string, destroyAfterMs?: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text))
    let received = ""
    socket.on("data", (chunk) => (received += chunk.toString()))
    socket.on("error", () => undefined)
    socket.on("close", () => resolve(received))
    if (destroyAfterMs !== undefined) setTimeout(() => socket.destroy(), destroyAfterMs)
  })

const head = (more: string) => `POST /v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${WRITE}\r\ncontent-type: application/json\r\n${more}\r\n\r\n`

describe("ingest refuses", () => {
  let ingest: TestIngest
  beforeEach(async () => {
    ingest = await startIngest({ limits: { bodyMsMax: 200, wrongKeysPerMinute: 3 } })
  })
  afterEach(async () => {
    expect(ingest.failures).toEqual([])
    expect(ingest.events()).toEqual([])
    await ingest.close()
  })

  it("a body it cannot read with 400: what, where and what next", async () => {
    expect(await ingest.post('{"type":"a",\n "id":tru}')).toMatchObject({ status: 400, answer: { code: "json", detail: 'not valid JSON: line 2, character 7: expected a value, got "t"' } })
    expect((await ingest.post("[{}")).answer["hint"]).toMatch(/correct the body/)
    for (const body of ["", "7", "[{},]", '{"events":{}}', '{"events":[],"sentAt":"soon"}', "[".repeat(200_000)]) expect((await ingest.post(body)).status, body.slice(0, 20)).toBe(400)
    expect(await ingest.post('{"events":{}}')).toMatchObject({ answer: { detail: "expected events to be a JSON array" } })
    for (const body of [Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3]), gzipSync("[]").subarray(0, 15)]) expect(await ingest.post(body)).toMatchObject({ status: 400, answer: { code: "gzip" } })
    expect(await ingest.post("{}", { "content-encoding": "gzip" })).toMatchObject({ status: 400, answer: { code: "gzip" } })
  })

  it("other content types and encodings with 415", async () => {
    expect(await ingest.post("a,b", { "content-type": "text/csv" })).toMatchObject({ status: 415, answer: { code: "content-type" } })
    expect(await ingest.post(brotliCompressSync(Buffer.alloc(1_000_000)), { "content-encoding": "br" })).toMatchObject({ status: 415, answer: { code: "content-encoding" } })
    expect(await ingest.post("[]", { "content-encoding": "gzip, gzip" })).toMatchObject({ status: 415 })
    expect(await ingest.post(gzipSync(gzipSync("[]")))).toMatchObject({ status: 415, answer: { detail: "the body is compressed more than once" } })
  })

  it("what is too large with 413 and the limit, whether it says so or not", async () => {
    const large = { status: 413, answer: { code: "too-large", limit: 4_194_304, unit: "bytes" } }
    expect(await ingest.post("x".repeat(4_194_305))).toMatchObject(large)
    const stream = new ReadableStream({ start: (controller) => { for (let i = 0; i < 70; i++) controller.enqueue(new Uint8Array(65_536)); controller.close() } })
    const response = await fetch(`${ingest.url}/v1/events`, { method: "POST", body: stream, duplex: "half", headers: { authorization: `Bearer ${WRITE}` } })
    expect([response.status, await response.json()]).toMatchObject([413, large.answer])
    expect(await ingest.post(`[${"1,".repeat(1_000)}1]`)).toMatchObject({ status: 413, answer: { code: "too-many-events", limit: 1_000 } })
  })

  it("gzip bombs with 413, without inflating them", async () => {
    const bomb = gzipSync(Buffer.alloc(256 * 1_048_576), { level: 9 })
    const before = process.memoryUsage().arrayBuffers
    expect(await ingest.post(bomb, { "content-encoding": "gzip" })).toMatchObject({ status: 413, answer: { code: "too-large", limit: 8_388_608 } })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1_048_576)
    expect(await ingest.post(gzipSync(Buffer.alloc(2_000_000)))).toMatchObject({ status: 413, answer: { limit: 1_048_576, ratio: 100 } })
  })

  it("other methods with 405, and says which it takes", async () => {
    for (const method of ["GET", "HEAD", "PUT", "DELETE"]) {
      const response = await fetch(`${ingest.url}/v1/events`, { method })
      expect([response.status, response.headers.get("allow")]).toEqual([405, "POST, OPTIONS"])
      if (method !== "HEAD") expect(await response.json()).toMatchObject({ code: "method", status: 405 })
    }
    expect((await fetch(`${ingest.url}/openapi.json`, { method: "POST", body: "x" })).headers.get("allow")).toBe("GET, HEAD")
    expect((await fetch(`${ingest.url}/other`)).status).toBe(404)
  })

  it("many wrong keys from one address with 429, and still takes a right one", async () => {
    const codes = []
    for (let i = 0; i < 5; i++) codes.push((await ingest.post("[]", { authorization: "Bearer wrong" })).status)
    expect(codes).toEqual([401, 401, 401, 429, 429])
    const { headers, answer } = await ingest.post("[]", { authorization: "Bearer wrong" })
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0)
    expect([answer["code"], headers.get("ratelimit-limit"), headers.get("ratelimit-remaining")]).toEqual(["rate", "3", "0"])
    expect((await ingest.post("[]")).status).toBe(200)
  })

  it("a body that does not arrive with 408, and forgets one whose client goes away", async () => {
    expect(await raw(ingest.port, `${head("content-length: 100")}{"type"`)).toMatch(/^HTTP\/1\.1 408 [\s\S]*connection: close[\s\S]*"code":"too-slow"/i)
    ingest.statuses.length = 0
    expect(await raw(ingest.port, `${head("content-length: 100")}[{"type":"a"}]`, 50)).toBe("")
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(ingest.statuses).toEqual([])
  })
})

describe("ingest limits", () => {
  it("requests and events of a key, and not those of another", async () => {
    const ingest = await startIngest({ limits: { requestsPerSecond: 4, eventsPerSecond: 10 } })
    try {
      const ten = json(Array.from({ length: 10 }, (_, i) => ({ type: "a", id: String(i) })))
      expect((await ingest.post(ten)).status).toBe(200)
      expect(await ingest.post(ten)).toMatchObject({ status: 429, answer: { code: "rate", limit: 10, detail: "more than 10 events a second with this key" } })
      const codes = []
      for (let i = 0; i < 4; i++) codes.push((await ingest.post("[]")).status)
      expect(codes).toContain(429)
      expect((await ingest.post("[]", { authorization: `Bearer ${ADMIN}` })).status).toBe(200)
    } finally {
      await ingest.close()
    }
  })
})

describe("bodies held at once", () => {
  it("beyond their limit are answered 503 and when to come back, until an answer has made room", async () => {
    const ingest = await startIngest({ limits: { heldBytesMax: 100_000 } })
    const body = (id: string, bytes: number) => json([{ type: "a", id, data: { pad: "x".repeat(bytes) } }])
    try {
      const gate = await Effect.runPromise(Deferred.make<void>())
      ingest.log.control.gate = Deferred.await(gate)
      const held = ingest.post(body("1", 20_000))
      const heldToo = ingest.post(gzipSync(body("2", 30_000)))
      await expect.poll(() => ingest.log.control.appends).toBe(2)
      const refused = await ingest.post(`[${Array.from({ length: 4 }, (_, i) => body(`3${i}`, 15_000).slice(1, -1)).join()}]`)
      expect(refused).toMatchObject({ status: 503, answer: { code: "busy" } })
      expect(refused.headers.get("retry-after")).toBe("1")
      expect(await ingest.post(gzipSync(`[${Array.from({ length: 4 }, (_, i) => body(`4${i}`, 15_000).slice(1, -1)).join()}]`))).toMatchObject({ status: 503, answer: { code: "busy" } })
      const small = ingest.post(body("5", 1_000))
      await expect.poll(() => ingest.log.control.appends).toBe(3)
      await Effect.runPromise(Deferred.succeed(gate, undefined))
      expect((await Promise.all([held, heldToo, small])).map(({ status }) => status)).toEqual([200, 200, 200])
      expect(await ingest.post(`[${Array.from({ length: 6 }, (_, i) => body(`6${i}`, 15_000).slice(1, -1)).join()}]`)).toMatchObject({ status: 200, answer: { accepted: 6 } })
      expect(ingest.outcomes.filter((outcome) => outcome === "503 busy")).toHaveLength(2)
    } finally {
      await ingest.close()
    }
  })

  it("never refuse a request that is alone", async () => {
    const ingest = await startIngest({ limits: { heldBytesMax: 10 } })
    try {
      expect((await ingest.post(json([{ type: "a" }]))).status).toBe(200)
    } finally {
      await ingest.close()
    }
  })
})

describe("browsers", () => {
  it("may send from any origin without credentials, unless the key names its origins", async () => {
    const ingest = await startIngest()
    try {
      const preflight = await fetch(`${ingest.url}/v1/events`, { method: "OPTIONS", headers: { origin: "https://a.example", "access-control-request-method": "POST" } })
      expect(preflight.status).toBe(204)
      expect(preflight.headers.get("access-control-allow-origin")).toBe("*")
      expect(preflight.headers.get("access-control-allow-methods")).toBe("POST")
      expect(preflight.headers.get("access-control-allow-headers")).toMatch(/authorization.*x-write-key/)
      for (const response of [preflight, await fetch(`${ingest.url}/v1/events`, { method: "POST" })]) {
        expect(response.headers.get("access-control-allow-origin")).toBe("*")
        expect(response.headers.get("access-control-allow-credentials")).toBeNull()
      }
      for (const path of ["/docs", "/openapi.json"]) expect((await fetch(ingest.url + path)).headers.get("access-control-allow-origin")).toBeNull()
      const from = (origin: string) => ingest.post("[]", { authorization: "Bearer tm_wk_site", origin })
      expect([(await from("https://shop.example")).status, (await from("https://evil.example")).status]).toEqual([200, 403])
    } finally {
      await ingest.close()
    }
  })
})

describe("ingest that knows as many live events as it has room for", () => {
  it("answers more with 429 and when to come back, tells duplicates still, and takes imports", async () => {
    const ingest = await startIngest({ limits: { dedupeBytesMax: 16 * 1_024 } })
    const batch = (from: number, count: number) => json(Array.from({ length: count }, (_, index) => ({ id: `e${from + index}`, type: "a", userId: "u" })))
    expect(await ingest.post(batch(0, 768))).toMatchObject({ status: 200, answer: { accepted: 768 } })
    const refused = await ingest.post(batch(768, 1))
    expect(refused).toMatchObject({ status: 429, answer: { code: "dedupe-full" } })
    expect(ROUTES.find(({ path }) => path === "/v1/events")?.answers.find(({ status }) => status === 429)?.description).toContain("`dedupe-full`")
    expect([refused.headers.get("retry-after"), refused.answer["hint"]]).toEqual(["60", expect.stringMatching(/import/)])
    expect(await ingest.post(batch(767, 1))).toMatchObject({ status: 200, answer: { duplicate: 1 } })
    expect(await ingest.post(batch(768, 1), {}, "?dryRun=1")).toMatchObject({ status: 200, answer: { accepted: 1 } })
    expect(await ingest.post(batch(768, 5), { authorization: `Bearer ${ADMIN}`, "tidemark-backfill": "old" })).toMatchObject({ status: 200, answer: { accepted: 5 } })
    expect(ingest.events()).toHaveLength(773)
    expect(ingest.failures).toEqual([])
    await ingest.close()
  })
})
