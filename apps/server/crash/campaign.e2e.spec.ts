import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { runCampaign } from "./campaign.ts"
import type { CampaignOptions } from "./campaign.ts"
import { addExpected, balance } from "./history.ts"
import type { Windows } from "./history.ts"

describe("the crash campaign", () => {
  let dataDir: string
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), "tidemark-crash-"))
  })
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }))
  const options = (over: Partial<CampaignOptions>): CampaignOptions => ({ seed: 20_260, kills: 10, events: 8_000, entry: fileURLToPath(new URL("../dist/main.js", import.meta.url)), dataDir, report: () => {}, ...over })

  it("kills the real server ten times under load and loses, doubles and changes nothing", async () => {
    const result = await runCampaign(options({}))
    expect(result).toMatchObject({ ok: true, kills: 10, lost: 0, duplicated: 0, differing: 0, verifyDifferences: 0, wrongAnswers: [] })
    expect(result.acknowledged).toBeGreaterThanOrEqual(8_000)
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
      seed: 7, kills: places.length, events: 3_000, entry: fileURLToPath(new URL("../dist/main.js", import.meta.url)), dataDir, report: () => {},
      // The last start is not killed.
      environmentOf: (start): Readonly<Record<string, string>> => (places[start] === undefined ? {} : { TIDEMARK_FAILPOINT: places[start] }),
      killAfterMs: 20_000
    })
    expect(result).toMatchObject({ ok: true, kills: places.length, ownKills: places.length, lost: 0, duplicated: 0, differing: 0, verifyDifferences: 0, wrongAnswers: [] })
  }, 240_000)
})

describe("the campaign's own account", () => {
  it("shows one event lost, one counted twice, and one of each in the same window", () => {
    const of = (...events: readonly (readonly [id: string, w: number])[]): Windows => {
      const windows: Windows = new Map()
      for (const [id, w] of events) addExpected(windows, { id, kind: "order.paid", timeMs: 1_700_000_000_000, w, userId: "u" })
      return windows
    }
    const sent = of(["a", 3], ["b", 5], ["c", 9])
    expect(balance(sent, of(["a", 3], ["b", 5], ["c", 9]))).toMatchObject({ lost: 0, duplicated: 0, differing: 0 })
    expect(balance(sent, of(["a", 3], ["b", 5]))).toMatchObject({ lost: 1, duplicated: 0, differing: 1 })
    expect(balance(sent, of(["a", 3], ["b", 5], ["c", 9], ["a", 3]))).toMatchObject({ lost: 0, duplicated: 1, differing: 1 })
    expect(balance(sent, of(["a", 3], ["a", 3], ["c", 9]))).toMatchObject({ lost: 0, duplicated: 0, differing: 1 })
    expect(balance(of(), sent)).toMatchObject({ duplicated: 3, differing: 1 })
  })
})
