/** What the server counted, asked over its own API, and what its verification says. */
import { setTimeout as sleep } from "node:timers/promises"
import type { VerifyReport } from "@tidemark/replay/verifyReport"
import { windowName } from "./history.ts"
import type { Windows } from "./history.ts"
import { KEYS } from "./serverProcess.ts"

const HOUR_MS = 3_600_000
const CAUGHT_UP_MS_MAX = 60_000

const ask = async <A>(url: string, query: string): Promise<A> => {
  const response = await fetch(`${url}/graphql`, { method: "POST", headers: { authorization: `Bearer ${KEYS.read}`, "content-type": "application/json" }, body: JSON.stringify({ query }) })
  const { data, errors } = (await response.json()) as { data?: A; errors?: unknown }
  if (data === undefined || data === null) throw new Error(`no answer: ${JSON.stringify(errors)}`)
  return data
}

/** Waits until every projection has folded everything. Fails when one halts or does not in time. */
export const caughtUp = async (url: string, maxMs = CAUGHT_UP_MS_MAX): Promise<void> => {
  const untilMs = Date.now() + maxMs
  for (;;) {
    const { projections } = await ask<{ projections: { name: string; lagEvents: string; halts: { code: string }[] }[] }>(url, "{ projections { name lagEvents halts { code } } }")
    const halted = projections.find(({ halts }) => halts.length > 0)
    if (halted !== undefined) throw new Error(`${halted.name} halted: ${halted.halts[0]?.code ?? ""}`)
    if (projections.every(({ lagEvents }) => lagEvents === "0")) return
    if (Date.now() > untilMs) throw new Error(`still behind after ${maxMs} ms: ${JSON.stringify(projections)}`)
    await sleep(100)
  }
}

interface Points {
  readonly series: { readonly groups: readonly { readonly points: readonly { readonly start: string; readonly events: string; readonly measures: readonly { readonly text: string | null }[] }[] }[] }
}

/** Every minute between the bounds that holds an event. */
export const readWindows = async (url: string, fromMs: number, toMs: number): Promise<Windows> => {
  const windows: Windows = new Map()
  const asked = [["page.viewed", "page-views", "duration.sum"], ["order.paid", "revenue", "amount"]] as const
  for (const [kind, projection, measure] of asked) {
    for (let at = Math.floor(fromMs / HOUR_MS) * HOUR_MS; at < toMs; at += 24 * HOUR_MS) {
      const range = `from: "${new Date(at).toISOString()}", to: "${new Date(at + 24 * HOUR_MS).toISOString()}", resolution: MINUTE`
      const { series } = await ask<Points>(url, `{ series(projection: "${projection}", measures: ["${measure}"], ${range}) { groups { points { start events measures { text } } } } }`)
      for (const { start, events, measures } of series.groups.flatMap(({ points }) => points)) {
        if (events !== "0") windows.set(windowName(kind, Date.parse(start)), { events: BigInt(events), sum: BigInt(measures[0]?.text ?? "0") })
      }
    }
  }
  return windows
}

interface DeadLetterPage {
  readonly deadLetters: { readonly edges: readonly { readonly cursor: string }[]; readonly pageInfo: { readonly hasNextPage: boolean } }
}

/** Number of dead letters of the orders. */
export const countDeadLetters = async (url: string): Promise<number> => {
  let count = 0
  let after = ""
  for (;;) {
    const page = await ask<DeadLetterPage>(url, `{ deadLetters(projection: "revenue", first: 1000${after}) { edges { cursor } pageInfo { hasNextPage } } }`)
    count += page.deadLetters.edges.length
    const last = page.deadLetters.edges.at(-1)
    if (!page.deadLetters.pageInfo.hasNextPage || last === undefined) return count
    after = `, after: ${JSON.stringify(last.cursor)}`
  }
}

/** The full verification of the running server. */
export const verifyFull = async (url: string): Promise<VerifyReport> => {
  const response = await fetch(`${url}/v1/verify?full=1`, { method: "POST", headers: { authorization: `Bearer ${KEYS.admin}` } })
  const last = JSON.parse((await response.text()).trim().split("\n").at(-1) ?? "{}") as { kind?: string; report?: VerifyReport }
  if (last.report === undefined) throw new Error(`the verification ended without a report: ${JSON.stringify(last)}`)
  return last.report
}
