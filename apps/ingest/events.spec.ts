import { gzipSync } from "node:zlib"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { RejectedLogError } from "@tidemark/domain/ports/RejectedLog"
import { ADMIN, READ, WRITE, startIngest } from "./harness.ts"
import type { TestIngest } from "./harness.ts"

const event = (id: string, more: object = {}) => ({ type: "a", id, userId: "u", ...more })
const json = (value: unknown) => JSON.stringify(value)

describe("POST /v1/events", () => {
  let ingest: TestIngest
  beforeEach(async () => {
    ingest = await startIngest()
  })
  afterEach(() => ingest.close())

  it("answers 200 with a result per event, once the events are in the log", async () => {
    const { status, answer, headers } = await ingest.post(json([event("1"), event("2"), event("1")]))
    expect(status).toBe(200)
    expect(answer).toEqual({
      received: 3, accepted: 2, duplicate: 1, rejected: 0, failed: 0,
      results: [{ status: "accepted", id: "1", partition: 0, offset: "0" }, { status: "accepted", id: "2", partition: 0, offset: "1" }, { status: "duplicate", id: "1" }]
    })
    expect(headers.get("content-type")).toMatch(/^application\/json/)
    expect(ingest.events()).toMatchObject([{ id: "1", tenantId: "acme", source: "urn:tidemark:key:tm_wk_w" }, { id: "2" }])
    expect(ingest.counted).toEqual([{ type: "other", status: "accepted", count: 2 }, { type: "other", status: "duplicate", count: 1 }])
    expect(ingest.statuses).toEqual([200])
  })

  it("says what it does not read of the object around a batch", async () => {
    const answered = await ingest.post(json({ events: [event("1")], sent_at: 1, batch: "b" }))
    expect(answered).toMatchObject({ status: 200, answer: { accepted: 1, hint: "not read: sent_at (did you mean sentAt?), batch; put what belongs to the events into each of them" } })
    expect((await ingest.post(json({ events: [event("2")], sentAt: Date.now() }))).answer).not.toHaveProperty("hint")
  })

  it("stores nothing of a body that gives its events twice, and refuses a CloudEvent with a number as time by its own result", async () => {
    const twice = await ingest.post(`{"events":[${json(event("1"))}],"events":[${json(event("2"))}]}`)
    expect(twice).toMatchObject({ status: 400, answer: { code: "json", detail: "events is given more than once and no value is chosen for you: keep one and send it again" } })
    expect(ingest.events()).toEqual([])
    const cloud = (id: string, time: unknown) => ({ specversion: "1.0", source: "s", type: "a", userid: "u", id, time })
    const answered = await ingest.post(json([cloud("3", 5), cloud("4", "2023-11-14T00:00:00Z")]), { "content-type": "application/cloudevents-batch+json" })
    expect(answered).toMatchObject({ status: 200, answer: { accepted: 1, rejected: 1, results: [{ status: "rejected", code: "time", pointer: "/time" }, { status: "accepted", id: "4" }] } })
  })

  it("takes every body form", async () => {
    const cloud = (id: string) => ({ specversion: "1.0", source: "s", type: "a", userid: "u", id })
    const bodies: readonly (readonly [string, string, Readonly<Record<string, string>>?])[] = [
      [json(event("1")), "application/json"],
      [json([event("2")]), "application/json; charset=utf-8"],
      [json({ events: [event("3")], sentAt: Date.now() }), "application/json"],
      [json({ events: [event("4")] }), "text/plain;charset=UTF-8"],
      [`${json(event("5"))}\r\n\n${json(event("6"))}\n`, "application/x-ndjson"],
      [json(cloud("7")), "application/cloudevents+json; charset=utf-8"],
      [json([cloud("8")]), "application/cloudevents-batch+json"],
      [json({ n: 1 }), "application/json", { "ce-specversion": "1.0", "ce-id": "9", "ce-source": "s", "ce-type": "a", "ce-userid": "z%C3%BC" }]
    ]
    for (const [body, contentType, headers] of bodies) expect(await ingest.post(body, { "content-type": contentType, ...headers }), body).toMatchObject({ status: 200, answer: { rejected: 0 } })
    expect(ingest.events().map(({ id }) => id)).toEqual(["1", "2", "3", "4", "5", "6", "7", "8", "9"])
    expect(ingest.events()[8]).toMatchObject({ userId: "zü", data: { n: 1 } })
  })

  it("takes gzip by its header and by its first bytes", async () => {
    await ingest.post(gzipSync(json(event("1"))), { "content-encoding": "gzip" })
    await ingest.post(gzipSync(json(event("2"))))
    expect(ingest.events().map(({ id }) => id)).toEqual(["1", "2"])
  })

  it("takes the key from every place it may stand in", async () => {
    const send = async (id: string, headers: Readonly<Record<string, string>>, query = "") =>
      (await fetch(`${ingest.url}/v1/events${query}`, { method: "POST", body: json(event(id)), headers: { "content-type": "application/json", ...headers } })).status
    expect(await send("1", { "x-write-key": WRITE })).toBe(200)
    expect(await send("2", { authorization: `Basic ${Buffer.from(`${WRITE}:`).toString("base64")}` })).toBe(200)
    expect(await send("3", { "content-type": "text/plain" }, `?writeKey=${WRITE}`)).toBe(200)
    expect(await send("4", { authorization: `bearer ${ADMIN}` })).toBe(200)
    expect(ingest.events()).toHaveLength(4)
  })

  it("answers 401 alike to no key and to every wrong one, and 403 to keys that may not", async () => {
    const answers = await Promise.all(["", "Bearer", "Bearer nobody", `Bearer ${WRITE} `, `Bearer ${WRITE}x`, "Basic !", "Digest a"].map((authorization) => ingest.post(json(event("1")), { authorization })))
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 200, 401, 401, 401])
    const [first] = answers
    expect(first?.answer).toMatchObject({ status: 401, code: "key", type: "urn:tidemark:problem:key", title: "Unauthorized" })
    expect(first?.headers.get("www-authenticate")).toMatch(/^Bearer/)
    expect(first?.headers.get("content-type")).toBe("application/problem+json")
    for (const { status, answer } of answers) if (status === 401) expect(answer).toEqual(first?.answer)
    expect(await ingest.post(json(event("2")), { authorization: `Bearer ${READ}` })).toMatchObject({ status: 403, answer: { code: "key-kind" } })
    for (const key of [ADMIN, READ]) {
      const response = await fetch(`${ingest.url}/v1/events?writeKey=${key}`, { method: "POST", body: json(event("3")) })
      expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([403, "key-in-url"])
    }
    expect(ingest.events()).toHaveLength(1)
  })

  it("loses nothing but the bad event of a batch, and keeps that one", async () => {
    const { status, answer } = await ingest.post(`[${json(event("1"))},{"type":tru},${json({ type: "page.viewed", id: "bad", data: { ms: "1" } })},${json(event("2"))}]`)
    expect(status).toBe(200)
    expect(answer).toMatchObject({ accepted: 2, rejected: 2, results: [{}, { status: "rejected", code: "json" }, { id: "bad", code: "schema", pointer: "/data/ms", detail: "expected integer, got string" }, { id: "2" }] })
    expect(ingest.events().map(({ id }) => id)).toEqual(["1", "2"])
    expect(ingest.rejected.entries).toMatchObject([{ code: "json", body: '{"type":tru}', origin: null }, { code: "schema", eventId: "bad", tenantId: "acme" }])
    expect(ingest.counted).toContainEqual({ type: "page.viewed", status: "rejected", count: 1 })
  })

  it("loses only the lines or elements of a body that are not UTF-8", async () => {
    const body = Buffer.concat([Buffer.from(`${json(event("1"))}\n`), Buffer.from(json(event("ü")), "latin1"), Buffer.from(`\n${json(event("2"))}`)])
    expect(await ingest.post(body, { "content-type": "application/x-ndjson" })).toMatchObject({ status: 200, answer: { accepted: 2, rejected: 1, results: [{}, { code: "utf-8" }, {}] } })
    expect(await ingest.post(Buffer.from(`[${json(event("ü"))},${json(event("z"))}]`, "latin1"))).toMatchObject({ status: 200, answer: { accepted: 1, results: [{ status: "rejected", code: "utf-8" }, { status: "accepted", id: "z" }] } })
    expect(await ingest.post(Buffer.from(json(event("ü")), "latin1"))).toMatchObject({ status: 400, answer: { code: "utf-8" } })
  })

  it("answers 422 to a single event that is rejected, and keeps it", async () => {
    const { status, answer, headers } = await ingest.post(json({ type: "page.viewed", id: "x", data: { ms: "1" } }))
    expect(status).toBe(422)
    expect(headers.get("content-type")).toBe("application/problem+json")
    expect(answer).toMatchObject({ status: 422, code: "schema", pointer: "/data/ms", detail: "/data/ms: expected integer, got string", rejected: 1, accepted: 0, results: [{ status: "rejected", id: "x" }] })
    expect(ingest.rejected.entries).toHaveLength(1)
    expect(await ingest.post(json({ type: "page.veiwed" }), { authorization: "Bearer tm_wk_strict" })).toMatchObject({ status: 422, answer: { code: "unknown-type", hint: "did you mean page.viewed?" } })
  })

  it("appends and keeps nothing with dryRun, and refuses other values of it", async () => {
    expect(await ingest.post(json([event("1"), {}]), {}, "?dryRun=1")).toMatchObject({ status: 200, answer: { accepted: 1, rejected: 1, results: [{ status: "accepted", id: "1", partition: 0 }, {}] } })
    expect(await ingest.post(json([event("1")]), {}, "?dryRun=yes")).toMatchObject({ status: 400, answer: { code: "query" } })
    expect([ingest.events(), ingest.rejected.entries, ingest.counted]).toEqual([[], [], []])
    expect(await ingest.post(json([event("1")]), {}, "?dryRun=0")).toMatchObject({ answer: { results: [{ offset: "0" }] } })
  })

  it("marks an import of an admin key, and keeps its unreadable lines once with their numbers", async () => {
    const body = `${json(event("1"))}\n\n{"unreadable":"1.2.3.4 - cut","reason":"not in the combined log format"}\n{"type":"b"}`
    const headers = { authorization: `Bearer ${ADMIN}`, "content-type": "application/x-ndjson", "tidemark-backfill": "m%C3%A4rz", "tidemark-backfill-line": "7" }
    expect(await ingest.post(body, headers)).toMatchObject({ status: 200, answer: { accepted: 2, rejected: 1, results: [{}, { code: "unreadable", detail: "not in the combined log format" }, {}] } })
    expect(await ingest.post(body, headers)).toMatchObject({ status: 200, answer: { accepted: 0, duplicate: 2, rejected: 1 } })
    expect(ingest.events()).toMatchObject([{ backfill: "märz" }, { backfill: "märz", type: "b" }])
    expect(ingest.rejected.entries).toMatchObject([{ origin: "märz:9", code: "unreadable", body: "1.2.3.4 - cut" }])
    expect(await ingest.post(body, { ...headers, authorization: `Bearer ${WRITE}` })).toMatchObject({ status: 403, answer: { code: "backfill-key" } })
    for (const wrong of [{ "tidemark-backfill": "%" }, { "tidemark-backfill": "%00" }, { "tidemark-backfill": "x".repeat(129) }, { "tidemark-backfill-line": "0" }]) {
      expect(await ingest.post(body, { ...headers, ...wrong })).toMatchObject({ status: 400, answer: { code: "header" } })
    }
    expect(await ingest.post(json({ unreadable: "x", reason: "y" }), { "content-type": "application/x-ndjson" })).toMatchObject({ answer: { results: [{ code: "required" }] } })
  })

  it("answers 503 with Retry-After when the log does not take the events, and takes them when they come again", async () => {
    ingest.log.control.behaviours.push("reject", "kept")
    const { status, headers, answer } = await ingest.post(json([event("1"), {}]))
    expect([status, answer["code"], headers.get("content-type")]).toEqual([503, "log-not-writable", "application/problem+json"])
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0)
    expect(answer).toMatchObject({ failed: 1, rejected: 1, results: [{ status: "failed", id: "1" }, { status: "rejected" }] })
    expect([ingest.counted, ingest.ackSeconds]).toEqual([[{ type: "other", status: "failed", count: 1 }, { type: "other", status: "rejected", count: 1 }], [undefined]])
    expect(await ingest.post(json(event("1")))).toMatchObject({ status: 503, answer: { code: "outcome-unknown" } })
    expect(await ingest.post(json(event("1")))).toMatchObject({ status: 200 })
  })

  it("answers 503 for a full disk with a code of its own, and asks for more patience", async () => {
    ingest.log.control.behaviours.push("full")
    expect(await ingest.post(json([event("1"), event("2")]))).toMatchObject({ status: 503, answer: { code: "storage-full", detail: "2 events were not stored: the disk of the log is full", failed: 2, accepted: 0, results: [{ status: "failed", code: "storage-full" }, {}] } })
    ingest.log.control.behaviours.push("full")
    expect((await ingest.post(json(event("1")))).headers.get("retry-after")).toBe("30")
    expect(ingest.outcomes).toEqual(["503 storage-full", "503 storage-full"])
    expect((await ingest.post(json([event("1"), event("2")]))).answer).toMatchObject({ accepted: 2 })
  })

  it("answers 503 when a refused event cannot be kept, and appends nothing of its batch", async () => {
    Object.assign(ingest.rejected.shape, { put: () => Effect.fail(new RejectedLogError({ cause: "disk full at /secret" })) })
    const { status, answer, headers } = await ingest.post(json([event("1"), {}]))
    expect([status, answer["code"], headers.get("retry-after")]).toEqual([503, "log-not-writable", "2"])
    expect(JSON.stringify(answer)).not.toContain("secret")
    expect([ingest.counted, ingest.ackSeconds]).toEqual([[{ type: "other", status: "failed", count: 2 }], [undefined]])
    expect([ingest.events(), ingest.failures]).toMatchObject([[], [{ _tag: "RejectedLogError" }]])
  })

  it("counts every answered request by status and outcome, those that failed as a whole too", async () => {
    const limited = await startIngest({ limits: { eventsPerSecond: 3, wrongKeysPerMinute: 1, dedupeBytesMax: 0 } })
    const kinds: readonly (readonly [string, string, Readonly<Record<string, string>>?])[] = [
      ["401 key", "[]", { authorization: "Bearer wrong" }],
      ["429 rate", "[]", { authorization: "Bearer wrong" }],
      ["403 key-kind", "[]", { authorization: `Bearer ${READ}` }],
      ["400 json", "["],
      ["413 too-many-events", `[${"1,".repeat(1_000)}1]`],
      ["415 content-type", "a,b", { "content-type": "text/csv" }],
      ["422 required", json({ id: "x" })],
      ["429 dedupe-full", json([event("1"), event("2")])],
      ["429 rate", json([event("1"), event("2")])],
      ["200 ok", "[]"]
    ]
    try {
      for (const [, body, headers] of kinds) await limited.post(body, headers)
      expect((await fetch(`${limited.url}/v1/events`)).status).toBe(405)
      expect(limited.outcomes).toEqual([...kinds.map(([outcome]) => outcome), "405 method"])
      expect(limited.counted).toEqual([{ type: "other", status: "rejected", count: 1 }, { type: "other", status: "failed", count: 2 }])
    } finally {
      await limited.close()
    }
  })

  it("answers 500 without the cause when something fails inside, and serves on", async () => {
    let broken = true
    const other = await startIngest({ resolveKey: async () => (broken ? Promise.reject(new Error("secret")) : { tenantId: "t", kind: "write", keyPrefix: "p" }) })
    try {
      const { status, answer } = await other.post(json(event("1")))
      expect([status, answer["code"], JSON.stringify(answer).includes("secret")]).toEqual([500, "internal", false])
      expect(other.failures).toHaveLength(1)
      broken = false
      expect((await other.post(json(event("1")))).status).toBe(200)
    } finally {
      await other.close()
    }
  })
})
