import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"

const main = fileURLToPath(new URL("./dist/main.js", import.meta.url))
const RUN_MS_MAX = 170_000

it("says how fast a generation is built from Kafka into Postgres, with the digest of the served one, whatever the threads", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, "rebuild", "--mode", "distributed", "--events", "3000", "--runs", "1", "--threads", "1,2", "--json"], { encoding: "utf8", timeout: RUN_MS_MAX })
  expect([status, stderr]).toEqual([0, ""])
  const { conditions, rows } = JSON.parse(stdout) as { readonly conditions: Readonly<Record<string, unknown>>; readonly rows: readonly Readonly<Record<string, string | number>>[] }
  expect(conditions).toMatchObject({ mode: "distributed", events: 3_000 })
  expect(rows).toMatchObject([{ models: "page-views", threads: 1 }, { models: "page-views", threads: 2 }])
  for (const { digest, eventsPerSecond } of rows) {
    expect(digest).toMatch(/^[0-9a-f]{16}, as served$/)
    expect(digest).toBe(rows[0]?.["digest"])
    expect(eventsPerSecond).toBeGreaterThan(0)
  }
})
