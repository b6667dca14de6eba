/**
 * Values that an index of window documents says come first, for whoever proves it by the store's rows.
 *
 * The index follows the store, so a document may be older than the snapshot that is read, or newer. Which may be older is
 * known: what the snapshot holds of the outbox beyond the cursor of whoever feeds the index. The values of these windows
 * are candidates whatever the index says. Newer ones say too much and never too little, for counts never fall.
 */
import type { KeyTexts, OutboxEntry, ReadModelStoreShape, RowKey, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import { SEARCH_CONSUMER } from "@tidemark/domain/ports/WindowIndex"
import type { Candidates, WindowIndexShape, WindowSelection } from "@tidemark/domain/ports/WindowIndex"
import * as Effect from "effect/Effect"
import type { OpenModel } from "./openModel.ts"
import type { Segment } from "./resolution.ts"

/** Commits and windows the index may be behind and still be asked: the values of these windows are read besides. */
const ENTRIES_MAX = 500
const WINDOWS_MAX = 2_000
/** All rows are read when the index has not answered by then, ms. */
const ANSWER_MAX_MS = 2_000
const DAY_MS = 86_400_000
const ROWS_FIRST = 10_000

export interface CandidateQuestion {
  readonly by: string
  /** A count; the events when absent. */
  readonly figure?: string
  readonly text: string
  readonly limit: number
  readonly segments: readonly Segment[]
  readonly where: readonly KeyTexts[]
}

/** Values that may be among the first, and what every other one comes behind: `Candidates`, of this snapshot. */
export type FoundCandidates = Pick<Candidates, "values" | "last">

export interface CandidateIndex<E> {
  /** Rows read before it is asked: fewer are read sooner than it answers. */
  readonly rowsFirst: number
  /** Undefined where it cannot tell: it is not there, not whole, or too far behind. */
  readonly find: (question: CandidateQuestion) => Effect.Effect<FoundCandidates | undefined, E>
}

/** Windows of the model and tenant that the index may hold an older document of. */
const changedWindows = ({ projection, generation, tenantId }: OpenModel, entries: readonly OutboxEntry[]): readonly RowKey[] => {
  const found = new Map<string, RowKey>()
  for (const { lane, hints } of entries) {
    if (lane.projection !== projection || lane.generation !== generation) continue
    for (const hint of hints) {
      if (hint.tenantId !== tenantId) continue
      const { resolution, windowStartMs, keyId } = hint
      found.set(`${resolution} ${windowStartMs} ${keyId}`, { tenantId, resolution, windowStartMs, keyId })
    }
  }
  return [...found.values()]
}

const selectionsOf = ({ tenantId, dimensions }: OpenModel, { segments, where }: CandidateQuestion): readonly WindowSelection[] => {
  const filters = where.map(({ dimension, in: texts }) => ({ name: dimensions[dimension] ?? "", in: texts }))
  return segments.map(({ resolution, fromMs, toMs }) => ({ tenantId, resolution: resolution.code, fromMs, toMs, where: filters }))
}

/** What the index says once everything that was put into it is searchable; undefined when it may lack something. */
const askIndex = (index: WindowIndexShape, model: OpenModel, incarnation: string, question: CandidateQuestion): Effect.Effect<Candidates | undefined> => {
  const { projection, generation, dimensions, definition } = model
  const figures = Object.entries(definition.measures).flatMap(([name, { kind }]) => (kind === "count" ? [name] : []))
  const image = { projection, generation, incarnation, dimensions, figures }
  const { by, figure, text, limit } = question
  const asked = Effect.gen(function* () {
    yield* index.refresh(image)
    const candidates = yield* index.candidates(image, selectionsOf(model, question), { by, limit, text, ...(figure === undefined ? {} : { figure }) })
    // Asked last: an image that was dropped meanwhile is not complete any more.
    const { complete, refused } = yield* index.state(image)
    return complete && refused === 0 && candidates.complete ? candidates : undefined
  })
  return Effect.catch(Effect.timeout(asked, ANSWER_MAX_MS), () => Effect.succeed(undefined))
}

/** Candidates for questions to an open model. */
export const candidateIndex = (store: ReadModelStoreShape, index: WindowIndexShape, model: OpenModel): CandidateIndex<StoreUnavailableError> => ({
  rowsFirst: ROWS_FIRST,
  find: Effect.fn("findCandidates")(function* (question: CandidateQuestion) {
    const { snapshot, projection, generation, retainedFromMs } = model
    // What is out of retention leaves the index by whole months, maybe before this snapshot hides it.
    if (question.segments.some(({ fromMs }) => fromMs < retainedFromMs + DAY_MS)) return undefined
    // Before the index is asked: what the cursor has passed is in it then.
    const unread = yield* snapshot.unread(SEARCH_CONSUMER, ENTRIES_MAX)
    const changed = unread === undefined ? undefined : changedWindows(model, unread)
    if (changed === undefined || changed.length > WINDOWS_MAX) return undefined
    const found = yield* askIndex(index, model, yield* store.incarnation, question)
    if (found === undefined) return undefined
    const place = model.dimensions.indexOf(question.by)
    const values = new Set(found.values)
    for (const [row] of yield* snapshot.partials(projection, generation, changed)) if (row !== undefined) values.add(row.key[place] ?? "")
    return { values: [...values], last: found.last }
  })
})
