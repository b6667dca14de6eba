/**
 * The background audit: picks stored windows at random, finds their events by lineage, recomputes every measure from
 * them and compares with the stored state. It rests most of the time. Rules: docs/semantics.md §9.10.
 */
import { compileDefinition, createExtraction } from "@tidemark/domain/definitions/compile"
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { decodeAccumulator, mergeAccumulators } from "@tidemark/domain/measures/measure"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { ReadSnapshot, ResolutionCode, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { RESOLUTIONS } from "@tidemark/domain/time/window"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { why } from "./lineage.ts"
import type { LineageEvent } from "./windowProof.ts"

/** Totals since the audit began. */
export interface AuditFigures {
  readonly windows: number
  readonly differing: number
}

export interface AuditOptions {
  readonly seed: number
  /** Called after every window; `difference` says what is wrong with it. */
  readonly audited: (figures: AuditFigures, difference: string | undefined) => void
}

/** One window and key as it was answered. */
export interface AuditedWindow {
  readonly projection: string
  readonly generation: number
  readonly tenantId: string
  readonly resolution: ResolutionCode
  readonly startMs: number
  readonly keyId: string
  readonly key: readonly string[]
}

/** Larger windows are left to smaller ones of the same key. */
const EVENTS_MAX = 20_000n
/** Records its offset ranges may span. */
const SPAN_MAX = 200_000n
/** Rests this many times as long as it worked, and this long at least. */
const REST_FACTOR = 20
const REST_MIN_MS = 2_000
const DAY_MS = 86_400_000
const DAY: ResolutionCode = 2

/** Numbers in [0, 1) from a seed (mulberry32). */
const makeRandom = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const pick = <A>(list: readonly A[], random: () => number): A | undefined => list[Math.floor(random() * list.length)]

/** One of the rows that pass, each as likely as the other. */
const sample = (random: () => number) => {
  let seen = 0
  let chosen: StoredRow | undefined
  return {
    visit: (rows: readonly StoredRow[]) => {
      for (const row of rows) if (random() * ++seen < 1) chosen = row
    },
    chosen: () => chosen
  }
}

/** A random day of a random key, and a random resolution within it. */
export const pickWindow = Effect.fn("pickWindow")(function* (snapshot: ReadSnapshot, random: () => number) {
  const pointer = pick(yield* snapshot.pointers, random)
  if (pointer === undefined) return undefined
  const { projection, generation } = pointer
  const tenants = new Set((yield* snapshot.checkpoints(projection, generation)).flatMap(({ partitions }) => partitions.flatMap(({ tenantMaxMs }) => [...tenantMaxMs.keys()])))
  const tenantId = pick([...tenants], random)
  if (tenantId === undefined) return undefined
  const scope = { projection, generation, tenantId }
  const days = sample(random)
  yield* snapshot.scan({ ...scope, resolution: DAY, fromMs: -8_640_000_000_000_000, toMs: 8_640_000_000_000_001 }, days.visit)
  const day = days.chosen()
  if (day === undefined) return undefined
  const { keyId, key } = day
  const resolution = Math.floor(random() * 3) as ResolutionCode
  const windows = sample(random)
  yield* snapshot.scan({ ...scope, resolution, fromMs: day.windowStartMs, toMs: day.windowStartMs + DAY_MS, keyId }, windows.visit)
  const startMs = windows.chosen()?.windowStartMs
  return startMs === undefined ? undefined : ({ ...scope, resolution, startMs, keyId, key } satisfies AuditedWindow)
})

const readRows = Effect.fn("readRows")(function* (snapshot: ReadSnapshot, { projection, generation, tenantId, resolution, startMs, keyId }: AuditedWindow) {
  const found: StoredRow[] = []
  yield* snapshot.scan({ projection, generation, tenantId, resolution, fromMs: startMs, toMs: startMs + 1, keyId }, (rows) => void found.push(...rows))
  return found
})

const revisionsOf = (rows: readonly StoredRow[]): string => rows.map(({ lane, revision }) => `${lane}:${revision}`).join()

const spanOf = (rows: readonly StoredRow[]): bigint => rows.flatMap(({ offsets }) => offsets).reduce((sum, { min, max }) => sum + (max - min) + 1n, 0n)

/** What the stored rows and the events of the window disagree on, or undefined. */
const compareMeasures = (definitionText: string, seed: number, rows: readonly StoredRow[], events: readonly LineageEvent[]): string | undefined => {
  const compiled = compileDefinition(parseDefinition(definitionText), seed)
  const specs = Object.entries(compiled.definition.measures)
  const expected = compiled.createAccumulators()
  const out = createExtraction()
  for (const { event } of events) if (compiled.extract(event, out) === "ok") compiled.apply(out, expected)
  for (const [at, [name, spec]] of specs.entries()) {
    const [first, ...rest] = rows.map(({ measures }) => decodeAccumulator(spec, measures[at] ?? new Uint8Array()))
    const wanted = expected[at]
    if (first === undefined || wanted === undefined) continue
    for (const other of rest) mergeAccumulators(first, other)
    if (Buffer.compare(first.encode(), wanted.encode()) !== 0) return `measure ${name} differs`
  }
  const imported = BigInt(events.filter(({ event }) => event.backfill !== undefined).length)
  return rows.reduce((sum, { backfillEvents }) => sum + backfillEvents, 0n) === imported ? undefined : "the number of imported events differs"
}

const text = (error: { readonly _tag: string }): string => ("detail" in error ? `${error._tag}: ${String(error.detail)}` : error._tag)

/** Recomputes one window: what differs, or undefined; "skipped" when it is too large or changed meanwhile. */
export const auditWindow = Effect.fn("auditWindow")(function* (window: AuditedWindow) {
  const store = yield* ReadModelStore
  const seed = hashSeedOf((yield* EventLog).identity.logId)
  const look = Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    return { rows: yield* readRows(snapshot, window), record: yield* snapshot.generation(window.projection, window.generation) }
  }))
  const before = yield* look
  const events = before.rows.reduce((sum, row) => sum + row.events, 0n)
  if (before.record === undefined || events > EVENTS_MAX || spanOf(before.rows) > SPAN_MAX) return "skipped" as const
  const lineage = yield* Effect.result(why({ ...window, seed, limit: Number(EVENTS_MAX) }))
  if (revisionsOf((yield* look).rows) !== revisionsOf(before.rows)) return "skipped" as const
  const at = `${window.projection} generation ${window.generation}, ${RESOLUTIONS[window.resolution].name} ${new Date(window.startMs).toISOString()}, key ${JSON.stringify(window.key)} of ${window.tenantId}`
  if (lineage._tag === "Failure") return { difference: `${at}: its events cannot be read: ${text(lineage.failure)}` }
  const found = lineage.success
  if (found.foundEvents !== found.expectedEvents) return { difference: `${at}: ${found.expectedEvents} events are counted, the log holds ${found.foundEvents}` }
  if (!found.fingerprintMatches) return { difference: `${at}: the fingerprint differs` }
  const wrong = compareMeasures(before.record.definition, seed, before.rows, found.events)
  return { difference: wrong === undefined ? undefined : `${at}: ${wrong}` }
})

/** Audits until it is interrupted; fails when a store does not answer or a window cannot be read. */
export const audit = ({ seed, audited }: AuditOptions) =>
  Effect.gen(function* () {
    const store = yield* ReadModelStore
    const random = makeRandom(seed)
    let figures: AuditFigures = { windows: 0, differing: 0 }
    for (;;) {
      const startMs = yield* Clock.currentTimeMillis
      const window = yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => pickWindow(snapshot, random)))
      const outcome = window === undefined ? ("skipped" as const) : yield* auditWindow(window)
      if (outcome !== "skipped") {
        figures = { windows: figures.windows + 1, differing: figures.differing + (outcome.difference === undefined ? 0 : 1) }
        audited(figures, outcome.difference)
      }
      const workedMs = (yield* Clock.currentTimeMillis) - startMs
      yield* Effect.sleep(Math.max(REST_MIN_MS, workedMs * REST_FACTOR))
    }
  })
