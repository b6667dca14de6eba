/** What the server counted, asked over its own API, and what its verification says. */
import { setTimeout as sleep } from "node:timers/promises"
import type { VerifyReport } from "@tidemark/replay/verifyReport"
import { addSums, windowName } from "./history.ts"
import type { Ids, Span, Windows } from "./history.ts"
import { KEYS, keysOf } from "./serverProcess.ts"

const HOUR_MS = 3_600_000
const CAUGHT_UP_MS_MAX = 60_000

const ask = async <A>(url: string, query: string, key: string = KEYS.read): Promise<A> => {
  const response = await fetch(`${url}/graphql`, { method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: JSON.stringify({ query }) })
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
  readonly series: {
    readonly truncated: boolean
    readonly groups: readonly {
      readonly key: readonly { readonly value: string }[]
      readonly points: readonly { readonly start: string; readonly events: string; readonly measures: readonly { readonly text: string | null }[] }[]
    }[]
  }
}

const ASKED = [["page.viewed", "page-views", "page", "duration.sum"], ["order.paid", "revenue", "currency", "amount"]] as const

export interface ReadBack {
  readonly tenants: readonly string[]
  /** When the campaign ran. */
  readonly ran: Span
  /** How far before and after it events may be dated, ms. */
  readonly beforeMs: number
  readonly afterMs: number
}

/** Every minute of every key that holds an event. */
export const readWindows = async (url: string, { tenants, ran, beforeMs, afterMs }: ReadBack): Promise<Windows> => {
  const windows: Windows = new Map()
  for (const [tenant, [kind, projection, dimension, measure]] of tenants.flatMap((one) => ASKED.map((asked) => [one, asked] as const))) {
    for (let at = Math.floor((ran.fromMs - beforeMs) / HOUR_MS) * HOUR_MS; at < ran.toMs + afterMs; at += 24 * HOUR_MS) {
      const range = `from: "${new Date(at).toISOString()}", to: "${new Date(at + 24 * HOUR_MS).toISOString()}", resolution: MINUTE`
      const { series } = await ask<Points>(url, `{ series(projection: "${projection}", measures: ["${measure}"], breakdownBy: "${dimension}", ${range}) { truncated groups { key { value } points { start events measures { text } } } } }`, keysOf(tenant).read)
      if (series.truncated) throw new Error(`${projection} of ${tenant} has more keys than an answer holds`)
      for (const { key, points } of series.groups) {
        for (const { start, events, measures } of points) {
          if (events === "0") continue
          addSums(windows, windowName({ tenant, kind, key: key[0]?.value ?? "", startMs: Date.parse(start) }, ran), { events: BigInt(events), sum: BigInt(measures[0]?.text ?? "0") })
        }
      }
    }
  }
  return windows
}

interface EventPage {
  readonly events: { readonly edges: readonly { readonly cursor: string; readonly node: { readonly id: string } }[]; readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null } }
}

/** Ids of all events in the log. */
export const readLogIds = async (url: string, tenants: readonly string[]): Promise<Ids> => {
  const all = new Map<string, Set<string>>()
  for (const tenant of tenants) {
    const ids = new Set<string>()
    all.set(tenant, ids)
    let after: string | null = null
    do {
      const from: string = after === null ? "" : `, after: ${JSON.stringify(after)}`
      const { events }: EventPage = await ask<EventPage>(url, `{ events(first: 1000${from}) { edges { cursor node { id } } pageInfo { hasNextPage endCursor } } }`, keysOf(tenant).read)
      for (const { node } of events.edges) ids.add(node.id)
      after = events.pageInfo.hasNextPage ? events.pageInfo.endCursor : null
    } while (after !== null)
  }
  return all
}

interface DeadLetterPage {
  readonly deadLetters: { readonly edges: readonly { readonly cursor: string }[]; readonly pageInfo: { readonly hasNextPage: boolean } }
}

const countDeadLettersOf = async (url: string, tenant: string): Promise<number> => {
  let count = 0
  let after = ""
  for (;;) {
    const page = await ask<DeadLetterPage>(url, `{ deadLetters(projection: "revenue", first: 1000${after}) { edges { cursor } pageInfo { hasNextPage } } }`, keysOf(tenant).read)
    count += page.deadLetters.edges.length
    const last = page.deadLetters.edges.at(-1)
    if (!page.deadLetters.pageInfo.hasNextPage || last === undefined) return count
    after = `, after: ${JSON.stringify(last.cursor)}`
  }
}

/** Number of dead letters of the tenants' orders. */
export const countDeadLetters = async (url: string, tenants: readonly string[]): Promise<number> => {
  let count = 0
  for (const tenant of tenants) count += await countDeadLettersOf(url, tenant)
  return count
}

/** The full verification of the running server. */
export const verifyFull = async (url: string): Promise<VerifyReport> => {
  const response = await fetch(`${url}/v1/verify?full=1`, { method: "POST", headers: { authorization: `Bearer ${KEYS.admin}` } })
  const last = JSON.parse((await response.text()).trim().split("\n").at(-1) ?? "{}") as { kind?: string; report?: VerifyReport }
  if (last.report === undefined) throw new Error(`the verification ended without a report: ${JSON.stringify(last)}`)
  return last.report
}
