import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { eventStoreLmdb } from "@tidemark/infra-embedded/EventStoreLmdb"
import { runCampaign } from "./campaign.ts"
import type { CampaignOptions } from "./campaign.ts"
import { FUTURE, addExpected, balance, balanceLog, windowName } from "./history.ts"
import type { SentEvent, Windows } from "./history.ts"

const settingsIn = (dataDir: string) => eventStoreLmdb({ directory: join(dataDir, "settings"), nowMs: () => Date.now() })

describe("the crash campaign", () => {
  let dataDir: string
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), "tidemark-crash-"))
  })
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }))
  const options = (over: Partial<CampaignOptions>): CampaignOptions => ({ seed: 20_292, kills: 10, events: 8_000, entry: fileURLToPath(new URL("../dist/main.js", import.meta.url)), dataDir, settings: settingsIn(dataDir), report: () => {}, ...over })

  it("kills the real server ten times under load, at random and at named places, and loses, doubles and changes nothing", async () => {
    const result = await runCampaign(options({}))
    expect(result).toMatchObject({ ok: true, kills: 10, lost: 0, duplicated: 0, differing: 0, verifyDifferences: 0, wrongAnswers: [] })
    expect(result).toMatchObject({ missingInLog: 0, strangeInLog: 0, acknowledged: result.made - result.invalid, rejected: result.invalid })
    expect(result.made).toBeGreaterThanOrEqual(8_000)
    expect(result.invalid).toBeGreaterThan(100)
    expect(result.future).toBeGreaterThan(40)
    expect(result.ownKills).toBeGreaterThanOrEqual(2)
    expect(result.ownKills).toBeLessThan(10)
    // The seed kills three starts after 14, 27 and 16 % of what the start before them took: a start of another speed is not ready by then either.
    expect(result.killsBeforeReady).toBeGreaterThanOrEqual(1)
    expect(result.answeredDuplicate).toBeGreaterThan(50)
  }, 240_000)
})

describe("kills at named places", () => {
  let dataDir: string
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), "tidemark-failpoint-"))
  })
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

  it("before, in and after an append, around a flush and between take-over and first flush change nothing", async () => {
    const places = ["append-before:3", "append-written:2", "append-synced:4", "commit-before:1", "commit-before:3", "commit-after:2", "taken-over:5", "append-synced:1", "append-written:7", "taken-over:1"]
    const result = await runCampaign({
      seed: 7, kills: places.length, events: 3_000, entry: fileURLToPath(new URL("../dist/main.js", import.meta.url)), dataDir, settings: settingsIn(dataDir), report: () => {}, failpoints: places
    })
    expect(result).toMatchObject({ ok: true, kills: places.length, armed: places.length, ownKills: places.length, lost: 0, duplicated: 0, differing: 0, verifyDifferences: 0, wrongAnswers: [] })
  }, 240_000)
})

const EVENT: SentEvent = { tenant: "north", id: "a", kind: "order.paid", key: "EUR", timeMs: 1_700_000_000_000, w: 1, userId: "u" }

describe("the campaign's own account", () => {
  it("shows one event lost, one counted twice, and one of each in the same window", () => {
    const of = (...events: readonly (readonly [id: string, w: number])[]): Windows => {
      const windows: Windows = new Map()
      for (const [id, w] of events) addExpected(windows, { ...EVENT, id, w })
      return windows
    }
    const sent = of(["a", 3], ["b", 5], ["c", 9])
    expect(balance(sent, of(["a", 3], ["b", 5], ["c", 9]))).toMatchObject({ lost: 0, duplicated: 0, differing: 0 })
    expect(balance(sent, of(["a", 3], ["b", 5]))).toMatchObject({ lost: 1, duplicated: 0, differing: 1 })
    expect(balance(sent, of(["a", 3], ["b", 5], ["c", 9], ["a", 3]))).toMatchObject({ lost: 0, duplicated: 1, differing: 1 })
    expect(balance(sent, of(["a", 3], ["a", 3], ["c", 9]))).toMatchObject({ lost: 0, duplicated: 0, differing: 1 })
    expect(balance(of(), sent)).toMatchObject({ duplicated: 3, differing: 1 })
  })

  it("shows an event that is counted for another tenant or key", () => {
    const of = (over: Partial<SentEvent>): Windows => {
      const windows: Windows = new Map()
      addExpected(windows, { ...EVENT, ...over })
      return windows
    }
    expect(balance(of({}), of({ tenant: "south" }))).toMatchObject({ lost: 1, duplicated: 1, differing: 2 })
    expect(balance(of({}), of({ key: "USD" }))).toMatchObject({ lost: 1, duplicated: 1, differing: 2 })
    expect([of({ kind: "invalid" }).size, of({ kind: "poison" }).size]).toEqual([0, 0])
  })

  it("knows an event from the future by a window within the campaign, and by no other", () => {
    const expected: Windows = new Map()
    const ran = { fromMs: EVENT.timeMs, toMs: EVENT.timeMs + 90_000 }
    addExpected(expected, { ...EVENT, key: FUTURE.currency, timeMs: EVENT.timeMs + 7_200_000 })
    const nameAt = (startMs: number): string => windowName({ ...EVENT, key: FUTURE.currency, startMs }, ran)
    const minute = Math.floor(EVENT.timeMs / 60_000) * 60_000
    expect([nameAt(minute), nameAt(minute + 60_000)].every((name) => expected.has(name))).toBe(true)
    expect([nameAt(minute - 60_000), nameAt(minute + 7_200_000)].some((name) => expected.has(name))).toBe(false)
  })

  it("shows what is missing in the log and what has no place there", () => {
    const ids = (north: readonly string[], south: readonly string[]) => new Map([["north", new Set(north)], ["south", new Set(south)]])
    expect(balanceLog(ids(["1", "2"], ["3"]), ids(["1", "2"], ["3"]))).toEqual({ missingInLog: 0, strangeInLog: 0 })
    expect(balanceLog(ids(["1", "2"], ["3"]), ids(["1"], ["3", "2"]))).toEqual({ missingInLog: 1, strangeInLog: 1 })
  })
})
