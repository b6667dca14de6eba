/** What happens to held events on a running server, of whichever mode: from the list to the window, its proof, and a later rebuild. */
import { expect } from "vitest"
import { KEYS, ask, runCli, send } from "./processHarness.ts"

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

export interface ServerUrls {
  readonly ingest: string
  readonly graphql: string
  readonly dashboard: string
}

/** Sends events, two of them too late to be counted by themselves, and counts these by hand. `withinMs`: how long the server may take to fold something. */
export const countHeldEvents = async ({ ingest, graphql, dashboard }: ServerUrls, withinMs: number): Promise<void> => {
  const poll = { timeout: withinMs, interval: 200 }
  const cli = (...args: readonly string[]) => runCli(dashboard, KEYS.admin, ...args)
  const nowMs = Date.now()
  const oldMs = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS - 9 * DAY_MS
  const start = new Date(oldMs).toISOString()
  const viewed = (id: string, timeMs: number) => ({ id, type: "page.viewed", userId: "u-1", time: timeMs, schemaVersion: 2, data: { page: "/shoes", durationMs: 500 } })
  for (const one of [viewed("now", nowMs), viewed("held", oldMs + 1_000), viewed("held too", oldMs + 2_000)]) expect(await send(ingest, KEYS.write, [one])).toMatchObject({ status: 200 })

  const heldOnes = async () => (await cli("late", "ls", "page-views", "--held", "--json")).out.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as { readonly partition: number; readonly offset: string; readonly eventId: string })
  await expect.poll(heldOnes, poll).toHaveLength(2)
  const [held] = await heldOnes()
  expect(held?.eventId).toBe("held")
  const place = `${held?.partition}/${held?.offset}`
  const planned = await cli("late", "apply", "page-views", place, "--reason", "the phone was off")
  expect(planned, planned.notes).toMatchObject({ code: 0, notes: expect.stringContaining("Nothing was changed") as string })
  // It is a view, an event, and traffic from nowhere.
  for (const projection of ["page-views", "event-counts", "traffic-sources"]) expect(planned.out).toContain(projection)
  expect(await runCli(dashboard, KEYS.read, "late", "apply", "page-views", place, "--reason", "x", "--yes")).toMatchObject({ code: 1, notes: expect.stringContaining("admin key") as string })

  for (let again = 0; again < 2; again++) expect(await cli("late", "apply", "page-views", place, "--reason", "the phone was off", "--yes")).toMatchObject({ code: 0 })
  const why = async () => ask(graphql, KEYS.read, `{ projection(name: "page-views") { generation } window(projection: "page-views", key: [{ name: "page", value: "/shoes" }], start: "${start}", resolution: MINUTE) {
    events state corrections why { expectedEvents foundEvents fingerprintMatches events { edges { node { id } late { byMs releasedAt } } } } } }`)
  const proved = (generation: number) => ({ data: { projection: { generation }, window: {
    events: "1", state: "REVISED", corrections: "1",
    why: { expectedEvents: "1", foundEvents: "1", fingerprintMatches: true, events: { edges: [{ node: { id: "held" }, late: { byMs: expect.any(Number) as number, releasedAt: expect.stringMatching(/^\d+$/) as string } }] } }
  } } })
  await expect.poll(why, poll).toMatchObject(proved(1))
  expect((await cli("why", "page-views", "/shoes", start)).out).toMatch(/ 1 of 1 events .*fingerprint matches\n.* held .* late by 8 d 23 h, counted by hand at \d\/\d+/)
  const journey = await cli("event", "show", "held", "--at", place)
  expect(journey).toMatchObject({ code: 0, out: expect.stringMatching(/^page-views +1 +counted by hand at \d\/\d+, late by 8 d 23 h .* views 1, /m) as string })
  expect(journey.out).toMatch(/^revenue +1 +filtered/m)
  expect((await cli("event", "show", "held too")).out).toMatch(/^event-counts +1 +held, late by 8 d 23 h /m)

  expect(await cli("rebuild", "start", "page-views", "--reason", "again", "--wait", "--yes")).toMatchObject({ code: 0 })
  expect(await cli("rebuild", "cutover", "page-views", "--yes")).toMatchObject({ code: 0 })
  expect(await why()).toMatchObject(proved(2))
  expect(await cli("late", "apply", "page-views", "--all", "--reason", "the rest", "--yes")).toMatchObject({ code: 0, notes: expect.stringContaining("Counted 1 held event:") as string })
  await expect.poll(async () => (await cli("why", "page-views", "/shoes", start)).out, poll).toMatch(/ 2 of 2 events /)
  const verified = await cli("verify", "--full")
  expect(verified, verified.out + verified.notes).toMatchObject({ code: 0 })
}
