/**
 * The background audit: picks stored windows at random, holds each against the log, and counts what differs and what it
 * had to skip. It rests most of the time. Rules: docs/semantics.md §9.10.
 */
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { ReadSnapshot, ResolutionCode, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { AUDIT_BOUNDS, auditWindow } from "./auditWindow.ts"
import type { AuditOutcome, AuditedWindow, SkipReason } from "./auditWindow.ts"
import type { ProofBounds } from "./windowProof.ts"

/** Totals since the audit began. */
export interface AuditFigures {
  /** Recomputed, and how many of them differ. */
  readonly windows: number
  readonly differing: number
  /** Picked and not recomputed, by reason. */
  readonly skipped: Readonly<Record<SkipReason, number>>
}

export const NO_FIGURES: AuditFigures = { windows: 0, differing: 0, skipped: { records: 0, time: 0, keys: 0, retained: 0, definition: 0 } }

/** The figures of both. */
export const addFigures = (a: AuditFigures, b: AuditFigures): AuditFigures => ({
  windows: a.windows + b.windows,
  differing: a.differing + b.differing,
  skipped: {
    records: a.skipped.records + b.skipped.records, time: a.skipped.time + b.skipped.time, keys: a.skipped.keys + b.skipped.keys,
    retained: a.skipped.retained + b.skipped.retained, definition: a.skipped.definition + b.skipped.definition
  }
})

const counted = (figures: AuditFigures, outcome: AuditOutcome): AuditFigures =>
  outcome.kind === "skipped"
    ? { ...figures, skipped: { ...figures.skipped, [outcome.reason]: figures.skipped[outcome.reason] + 1 } }
    : { ...figures, windows: figures.windows + 1, differing: figures.differing + (outcome.difference === undefined ? 0 : 1) }

export interface AuditOptions {
  readonly seed: number
  /** Tenants of whom there may be windows beside those with live events, asked for before every choice. */
  readonly tenants: Effect.Effect<readonly string[]>
  /** Called after every window; `difference` says what is wrong with it. */
  readonly audited: (figures: AuditFigures, difference: string | undefined) => void
  /** What one window may cost; `AUDIT_BOUNDS` when absent. */
  readonly bounds?: ProofBounds
}

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

/** A random day of a random key, and a random resolution within it. `named`: tenants beside those with live events, as who only imports. */
export const pickWindow = Effect.fn("pickWindow")(function* (snapshot: ReadSnapshot, random: () => number, named: readonly string[]) {
  const pointer = pick(yield* snapshot.pointers, random)
  if (pointer === undefined) return undefined
  const { projection, generation } = pointer
  const live = (yield* snapshot.checkpoints(projection, generation)).flatMap(({ partitions }) => partitions.flatMap(({ tenantMaxMs }) => [...tenantMaxMs.keys()]))
  const tenants = new Set([...named, ...live])
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

/** Audits until it is interrupted; fails when log or store do not answer. */
export const audit = ({ seed, tenants, audited, bounds = AUDIT_BOUNDS }: AuditOptions) =>
  Effect.gen(function* () {
    const store = yield* ReadModelStore
    const random = makeRandom(seed)
    let figures = NO_FIGURES
    for (;;) {
      const startMs = yield* Clock.currentTimeMillis
      const outcome = yield* Effect.scoped(Effect.gen(function* () {
        const snapshot = yield* store.snapshot
        const window = yield* pickWindow(snapshot, random, yield* tenants)
        return window === undefined ? undefined : yield* auditWindow(snapshot, window, random, bounds)
      }))
      if (outcome !== undefined) {
        figures = counted(figures, outcome)
        audited(figures, outcome.kind === "audited" ? outcome.difference : undefined)
      }
      const workedMs = (yield* Clock.currentTimeMillis) - startMs
      yield* Effect.sleep(Math.max(REST_MIN_MS, workedMs * REST_FACTOR))
    }
  })
