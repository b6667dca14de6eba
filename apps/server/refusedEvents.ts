/** What happens to a refused event on a running server, of whichever mode: corrected, sent again, counted once. */
import { expect } from "vitest"
import { KEYS, ask, runCli, send } from "./processHarness.ts"

const MINUTE_MS = 60_000

export interface Addresses {
  readonly ingest: string
  readonly graphql: string
  /** Of the process that the command line asks. */
  readonly dashboard: string
}

export interface SentAgain {
  /** Once more, and the list: it is known as done, and counts once. */
  readonly check: (at: Omit<Addresses, "ingest">) => Promise<void>
}

/** Sends an event that is refused, and a correction of it by the command line; its sender repeats it as well. `withinMs`: how long the server may take to fold something. */
export const sendRefusedAgain = async ({ ingest, graphql, dashboard }: Addresses, withinMs: number): Promise<SentAgain> => {
  const poll = { timeout: withinMs, interval: 200 }
  const nowMs = Date.now()
  const wrong = { id: "view-1", type: "page.viewed", userId: "ann", time: nowMs, schemaVersion: 2, data: { page: 7 } }
  const right = { ...wrong, data: { page: "/shoes" } }
  expect(await send(ingest, KEYS.write, [wrong])).toMatchObject({ body: { rejected: 1 } })
  const cli = (url: string, ...args: readonly string[]) => runCli(url, KEYS.admin, "rejected", ...args)
  const [listed] = (await cli(dashboard, "ls", "--json")).out.trim().split("\n").map((line) => JSON.parse(line) as { readonly id: string; readonly redrive: object | null })
  expect(listed).toMatchObject({ eventId: "view-1", redrive: null })
  const id = listed?.id ?? ""
  expect(await cli(dashboard, "redrive", id, "--reason", "again", "--yes")).toMatchObject({ code: 1, out: expect.stringMatching(/refused again .*\/data\/page/) as string })
  const corrected = ["redrive", id, "--data", JSON.stringify(right), "--reason", "mended"] as const
  expect(await cli(dashboard, ...corrected)).toMatchObject({ code: 0, notes: expect.stringContaining("Nothing was changed") as string })
  expect(await runCli(dashboard, KEYS.read, "rejected", ...corrected, "--yes")).toMatchObject({ code: 1, notes: expect.stringContaining("admin key") as string })
  expect(await cli(dashboard, ...corrected, "--yes")).toMatchObject({ code: 0, notes: "Appended 1 event.\n" })
  expect(await send(ingest, KEYS.write, [right])).toMatchObject({ status: 200, body: { rejected: 0, failed: 0 } })

  const start = new Date(Math.floor(nowMs / MINUTE_MS) * MINUTE_MS).toISOString()
  const window = (url: string) => ask(url, KEYS.read, `{ window(projection: "page-views", key: [{ name: "page", value: "/shoes" }], start: "${start}", resolution: MINUTE) { events why { fingerprintMatches events { edges { node { id } } } } } }`)
  const once = { data: { window: { events: "1", why: { fingerprintMatches: true, events: { edges: [{ node: { id: "view-1" } }] } } } } }
  await expect.poll(() => window(graphql), poll).toMatchObject(once)
  return {
    check: async (at) => {
      expect(await cli(at.dashboard, "redrive", id, "--reason", "mended", "--yes")).toMatchObject({ code: 0, out: expect.stringMatching(/sent again before/) as string })
      expect((await cli(at.dashboard, "ls")).out).toMatch(/→ sent again, at \d+\/\d+/)
      // Folded to the end of the log, with whatever was sent twice.
      await expect.poll(() => ask(at.graphql, KEYS.read, '{ projection(name: "page-views") { lagEvents } }'), poll).toMatchObject({ data: { projection: { lagEvents: "0" } } })
      expect(await window(at.graphql)).toMatchObject(once)
      const verified = await runCli(at.dashboard, KEYS.admin, "verify", "--full")
      expect(verified, verified.out + verified.notes).toMatchObject({ code: 0 })
    }
  }
}
