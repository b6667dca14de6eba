/** The images of all generations in the window index: which are complete, and how changed windows get into them. */
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationRecord, ReadModelStoreShape, ReadSnapshot, ResolutionCode, RowKey, StoredRow, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import { SearchUnavailableError } from "@tidemark/domain/ports/SearchIndex"
import { WindowIndex } from "@tidemark/domain/ports/WindowIndex"
import type { WindowDocument, WindowIndexShape } from "@tidemark/domain/ports/WindowIndex"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { retainedFromMs } from "./retention.ts"
import type { ChangedWindows } from "./searchChanges.ts"
import { putUntilResolved } from "./searchPut.ts"
import type { SearchConflictError } from "./searchPut.ts"
import { documentModel, windowDocument } from "./windowDocument.ts"
import type { DocumentModel } from "./windowDocument.ts"

/** Documents in one request. */
const BATCH_DOCUMENTS = 2_000
/** Requests under way at once: the next batch is merged while the index works. */
const BATCHES_AT_ONCE = 2
/** Batches of one page of a copy: between two pages the index has nothing to do. */
const PAGE_BATCHES = 10
/** What is known of the images is asked for anew this often, ms: the index may have been emptied, and windows expire. */
const LOOK_AGAIN_MS = 30_000
const RESOLUTIONS: readonly ResolutionCode[] = [0, 1, 2]

type PublishError = StoreUnavailableError | SearchUnavailableError | SearchConflictError

export interface SearchImages {
  /** Forgets what was believed complete: the outbox may have passed changes by. */
  readonly distrust: Effect.Effect<void, PublishError, ReadModelStore | WindowIndex>
  /** Publishes every window of each generation that has no complete image of this history of the store. */
  readonly catchUp: Effect.Effect<void, PublishError, ReadModelStore | WindowIndex>
  readonly publish: (changes: readonly ChangedWindows[]) => Effect.Effect<void, PublishError, ReadModelStore | WindowIndex>
  readonly status: () => { readonly refused: ReadonlyMap<string, number>; readonly documents: number }
}

const isThere = (partials: readonly StoredRow[]): partials is readonly [StoredRow, ...StoredRow[]] => partials.length > 0

const allGenerations = (snapshot: ReadSnapshot): Effect.Effect<readonly GenerationRecord[], StoreUnavailableError> =>
  Effect.map(Effect.flatMap(snapshot.pointers, (pointers) => Effect.forEach(pointers, ({ projection }) => snapshot.generations(projection))), (found) => found.flat())

/** What cannot be read is tried again until somebody repairs it: the cursor does not pass it. */
const orRetry = <A>(read: () => A): Effect.Effect<A, SearchUnavailableError> => Effect.try({ try: read, catch: (cause) => new SearchUnavailableError({ cause }) })

/** The documents of these windows as they are in one snapshot; none for a window that is gone. Undefined when the store's history changed meanwhile. */
const readDocuments = (
  store: ReadModelStoreShape, model: DocumentModel, keys: readonly RowKey[]
): Effect.Effect<readonly WindowDocument[] | undefined, StoreUnavailableError | SearchUnavailableError> =>
  Effect.gen(function* () {
    const partials = yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.partials(model.projection, model.generation, keys)))
    if ((yield* store.incarnation) !== model.incarnation) return undefined
    return yield* orRetry(() => partials.filter(isThere).map((found) => windowDocument(model, found)))
  })

interface Known {
  readonly model: DocumentModel
  complete: boolean
}

const batchesOf = (keys: readonly RowKey[]): readonly (readonly RowKey[])[] =>
  Array.from({ length: Math.ceil(keys.length / BATCH_DOCUMENTS) }, (_, at) => keys.slice(at * BATCH_DOCUMENTS, (at + 1) * BATCH_DOCUMENTS))

class Images implements SearchImages {
  private readonly tenants: Effect.Effect<readonly string[]>
  private readonly retrying: (cause: string, nowMs: number) => void
  /** By projection and generation, of the history `incarnation`. */
  private known = new Map<string, Known>()
  private incarnation = ""
  private lookedAtMs = -Infinity
  private readonly refused = new Map<string, number>()
  private documents = 0

  constructor(tenants: Effect.Effect<readonly string[]>, retrying: (cause: string, nowMs: number) => void) {
    this.tenants = tenants
    this.retrying = retrying
  }

  status = () => ({ refused: this.refused, documents: this.documents })

  readonly distrust = Effect.gen({ self: this }, function* () {
    const index = yield* WindowIndex
    for (const image of yield* index.images) yield* index.setComplete(image, false)
    this.known.clear()
  })

  /** Forgets everything of another history of the store. */
  private readonly followHistory = Effect.gen({ self: this }, function* () {
    const incarnation = yield* (yield* ReadModelStore).incarnation
    if (incarnation !== this.incarnation) this.known.clear()
    this.incarnation = incarnation
  })

  private readonly look = Effect.fn("lookAtImage")({ self: this }, function* (record: GenerationRecord) {
    const name = `${record.projection}/${record.generation}`
    const before = this.known.get(name)
    if (before !== undefined) return before
    const model = yield* orRetry(() => documentModel(record, this.incarnation))
    const { complete, refused } = yield* (yield* WindowIndex).state(model)
    const found: Known = { model, complete }
    this.known.set(name, found)
    if (refused > 0) this.refused.set(name, refused)
    return found
  })

  private readonly put = Effect.fn("putWindows")({ self: this }, function* (index: WindowIndexShape, model: DocumentModel, keys: readonly RowKey[]) {
    const documents = yield* readDocuments(yield* ReadModelStore, model, keys)
    // Another history: what is put under its name comes with the next round, which begins by looking.
    if (documents === undefined || documents.length === 0) return documents !== undefined
    const refused = yield* putUntilResolved(index, model, documents, this.retrying)
    this.documents += documents.length
    if (refused > 0) this.refused.set(`${model.projection}/${model.generation}`, (yield* index.state(model)).refused)
    return true
  })

  private readonly copyTenant = Effect.fn("copyTenant")({ self: this }, function* (model: DocumentModel, tenantId: string, resolution: ResolutionCode) {
    const store = yield* ReadModelStore
    const index = yield* WindowIndex
    const { projection, generation } = model
    let after: RowKey | undefined
    for (;;) {
      const page = { projection, generation, tenantId, resolution, limit: BATCH_DOCUMENTS * PAGE_BATCHES, ...(after === undefined ? {} : { after }) }
      const keys = yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.windows(page)))
      after = keys.at(-1)
      if (after === undefined) return true
      const put = yield* Effect.forEach(batchesOf(keys), (batch) => this.put(index, model, batch), { concurrency: BATCHES_AT_ONCE })
      if (put.includes(false)) return false
    }
  })

  private readonly copy = Effect.fn("copyGeneration")({ self: this }, function* (known: Known) {
    const { model } = known
    const index = yield* WindowIndex
    const checkpoints = yield* Effect.scoped(Effect.flatMap((yield* ReadModelStore).snapshot, (snapshot) => snapshot.checkpoints(model.projection, model.generation)))
    const tenants = new Set(yield* this.tenants)
    for (const { partitions } of checkpoints) for (const { tenantMaxMs } of partitions) for (const tenantId of tenantMaxMs.keys()) tenants.add(tenantId)
    for (const tenantId of tenants) {
      for (const resolution of RESOLUTIONS) if (!(yield* this.copyTenant(model, tenantId, resolution))) return
    }
    yield* index.setComplete(model, true)
    known.complete = true
  })

  /** Drops what reads hide: windows below the highest `retainedFrom` of the partitions. */
  private readonly expire = Effect.fn("expireWindows")({ self: this }, function* (model: DocumentModel) {
    if (model.retentionDays === undefined) return
    const checkpoints = yield* Effect.scoped(Effect.flatMap((yield* ReadModelStore).snapshot, (snapshot) => snapshot.checkpoints(model.projection, model.generation)))
    let receivedMaxMs = -Infinity
    for (const { partitions } of checkpoints) for (const partition of partitions) receivedMaxMs = Math.max(receivedMaxMs, partition.receivedMaxMs ?? -Infinity)
    if (receivedMaxMs > -Infinity) yield* (yield* WindowIndex).drop(model, retainedFromMs(model.retentionDays, receivedMaxMs))
  })

  /** Drops the images of generations that were dropped; again at the next look, should a delayed write have brought one back. */
  private readonly dropUnused = Effect.fn("dropUnused")({ self: this }, function* (records: readonly GenerationRecord[]) {
    const index = yield* WindowIndex
    const dropped = new Set(records.filter(({ isDropped }) => isDropped === true).map(({ projection, generation }) => `${projection}/${generation}`))
    if (dropped.size === 0) return
    for (const image of yield* index.images) {
      if (image.incarnation === this.incarnation && dropped.has(`${image.projection}/${image.generation}`)) yield* index.drop(image)
    }
  })

  readonly catchUp = Effect.gen({ self: this }, function* () {
    yield* this.followHistory
    const nowMs = yield* Clock.currentTimeMillis
    const isDue = nowMs >= this.lookedAtMs + LOOK_AGAIN_MS
    if (isDue) {
      this.known.clear()
      this.lookedAtMs = nowMs
    }
    const records = yield* Effect.scoped(Effect.flatMap((yield* ReadModelStore).snapshot, allGenerations))
    if (isDue) yield* this.dropUnused(records)
    for (const record of records) {
      if (record.isDropped === true) continue
      const known = yield* this.look(record)
      if (!known.complete) yield* this.copy(known)
      if (isDue) yield* this.expire(known.model)
    }
  })

  readonly publish = Effect.fn("publishWindows")({ self: this }, function* (changes: readonly ChangedWindows[]) {
    yield* this.followHistory
    const store = yield* ReadModelStore
    const index = yield* WindowIndex
    for (const { projection, generation, keys } of changes) {
      const record = yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.generation(projection, generation)))
      // A generation that is gone has no image to keep.
      if (record === undefined || record.isDropped === true) continue
      const { model } = yield* this.look(record)
      yield* Effect.forEach(batchesOf(keys), (batch) => this.put(index, model, batch), { concurrency: BATCHES_AT_ONCE, discard: true })
    }
  })
}

/** `retrying` hears why documents have to be sent again. */
export const makeSearchImages = (tenants: Effect.Effect<readonly string[]>, retrying: (cause: string, nowMs: number) => void): SearchImages => new Images(tenants, retrying)
