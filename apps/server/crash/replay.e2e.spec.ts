import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { runReplayCampaign } from "./replayCampaign.ts"
import { KILL_POINTS } from "./replayPoints.ts"

describe("a server that is killed at every named place of a rebuild", () => {
  let dataDir: string
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), "tidemark-replay-"))
  })
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

  // Places that leave the same on the disk as the one before them are for `npm run test:crash -- --replay`.
  const points = KILL_POINTS.filter(({ repeats }) => !repeats)

  it("always has exactly one complete active generation, and ends what it began by itself", async () => {
    const lines: string[] = []
    const stores = engines(readConfiguration({ flags: new Map(), environment: { TIDEMARK_DATA_DIR: dataDir }, workingDirectory: dataDir, terminal: false }))
    const result = await runReplayCampaign({ seed: 1, entry: fileURLToPath(new URL("../dist/main.js", import.meta.url)), dataDir, stores, points, report: (line) => void lines.push(line) })
    expect(result, lines.join("\n")).toMatchObject({ ok: true, kills: points.length, faults: [] })
    expect(points.length).toBeGreaterThanOrEqual(25)
    // Not only the first commit, the first page read, the first way back.
    expect(result.laterKills).toBeGreaterThanOrEqual(8)
    expect(new Set(KILL_POINTS.map(({ scenario, place }) => `${scenario} ${place}`)).size).toBe(KILL_POINTS.length)
    expect(result.rebuilds).toBeGreaterThanOrEqual(2)
  }, 900_000)
})
