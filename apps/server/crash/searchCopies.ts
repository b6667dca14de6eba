/** Whether the search engine holds exactly what the store holds: every window document against its merged rows. */
import { setTimeout as sleep } from "node:timers/promises"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Pointer, ReadSnapshot, ResolutionCode, RowKey } from "@tidemark/domain/ports/ReadModelStore"
import { WindowIndex } from "@tidemark/domain/ports/WindowIndex"
import type { WindowIndexShape } from "@tidemark/domain/ports/WindowIndex"
import { RESOLUTIONS } from "@tidemark/domain/time/window"
import { documentModel, windowDocument } from "@tidemark/projections/runtime/windowDocument"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

const PAGE = 500
const EVERY_MS = 1_000
const FOREVER = { fromMs: -8.64e15, toMs: 8.64e15 }

export interface Copies {
  /** Windows of the store. */
  readonly windows: number
  /** Windows without a document, or with another content or revision; a few of them as text. */
  readonly wrong: number
  readonly examples: readonly string[]
  /** Documents of windows that the store does not hold. */
  readonly extra: number
}

const NOTHING: Copies = { windows: 0, wrong: 0, examples: [], extra: 0 }

const add = (a: Copies, b: Copies): Copies => ({ windows: a.windows + b.windows, wrong: a.wrong + b.wrong, examples: [...a.examples, ...b.examples].slice(0, 5), extra: a.extra + b.extra })

const nameOf = ({ projection }: Pointer, { resolution, windowStartMs, keyId }: RowKey): string => `${projection} ${resolution} ${new Date(windowStartMs).toISOString()} ${keyId}`

/** One resolution of one model. */
const compare = Effect.fn("compare")(function* (snapshot: ReadSnapshot, index: WindowIndexShape, pointer: Pointer, incarnation: string, tenantId: string, resolution: ResolutionCode) {
  const { projection, generation } = pointer
  const record = yield* snapshot.generation(projection, generation)
  if (record === undefined) throw new Error(`generation ${generation} of ${projection} is not stored`)
  const model = documentModel(record, incarnation)
  const selection = { tenantId, resolution, ...FOREVER }
  let copies = NOTHING
  let after: { readonly windowStartMs: number; readonly keyId: string } | undefined
  for (;;) {
    const keys = yield* snapshot.windows({ projection, generation, tenantId, resolution, limit: PAGE, ...(after === undefined ? {} : { after }) })
    if (keys.length === 0) break
    const [partials, documents] = [yield* snapshot.partials(projection, generation, keys), yield* index.read(model, keys)]
    const wrong = keys.filter((_, at) => {
      const [first, ...more] = partials[at] ?? []
      const [expected, found] = [first === undefined ? undefined : windowDocument(model, [first, ...more]), documents[at]]
      return expected === undefined || found === undefined || expected.revision !== found.revision || expected.contentHash !== found.contentHash || expected.events !== found.events || expected.fingerprint !== found.fingerprint
    })
    copies = add(copies, { windows: keys.length, wrong: wrong.length, examples: wrong.map((key) => nameOf(pointer, key)), extra: 0 })
    const last = keys[keys.length - 1]
    after = last === undefined ? undefined : { windowStartMs: last.windowStartMs, keyId: last.keyId }
  }
  yield* index.refresh(model)
  let found = 0
  let from: { readonly windowStartMs: number; readonly keyId: string } | undefined
  for (;;) {
    const { documents } = yield* index.find(model, { ...selection, limit: PAGE, ...(from === undefined ? {} : { after: from }) })
    const last = documents.at(-1)
    if (last === undefined) break
    found += documents.length
    from = { windowStartMs: last.windowStartMs, keyId: last.keyId }
  }
  return add(copies, { ...NOTHING, extra: Math.max(0, found - copies.windows + copies.wrong) })
})

const compareAll = (tenantId: string) =>
  Effect.scoped(Effect.gen(function* () {
    const index = yield* Effect.serviceOption(WindowIndex)
    if (Option.isNone(index)) throw new Error("there is no index of windows in this mode")
    const store = yield* ReadModelStore
    const snapshot = yield* store.snapshot
    const incarnation = yield* store.incarnation
    let copies = NOTHING
    for (const pointer of yield* snapshot.pointers) {
      for (const { code } of RESOLUTIONS) copies = add(copies, yield* compare(snapshot, index.value, pointer, incarnation, tenantId, code))
    }
    return copies
  }))

/** Compares until everything is equal or `maxMs` have passed: documents follow the rows a moment later. Needs the engines of the distributed mode. */
export const compareCopies = Effect.fn("compareCopies")(function* (tenants: readonly string[], maxMs: number) {
  const untilMs = Date.now() + maxMs
  for (;;) {
    let copies = NOTHING
    for (const tenantId of tenants) copies = add(copies, yield* compareAll(tenantId))
    if ((copies.wrong === 0 && copies.extra === 0) || Date.now() > untilMs) return copies
    yield* Effect.promise(() => sleep(EVERY_MS))
  }
})
