/**
 * What must be so of the window index, whatever crashes: no document goes back, the outbox cursor never passes a change
 * that the index does not hold, and once everything rests each image is what the rows say. Rules: docs/semantics.md §7.
 */
import { documentModel, windowDocument } from "../runtime/windowDocument.ts"
import type { Hint, LaneId, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { SEARCH_CONSUMER } from "@tidemark/domain/ports/WindowIndex"
import type { WindowDocument } from "@tidemark/domain/ports/WindowIndex"
import { retainedFromMs } from "../runtime/retention.ts"
import { rowId } from "./memoryModelState.ts"
import type { MemoryModelDisk } from "./memoryReadModelStore.ts"
import { documentName, imageName } from "./memoryWindowIndex.ts"
import type { MemoryWindowDisk } from "./memoryWindowIndex.ts"

const textOf = (document: WindowDocument | undefined): string => JSON.stringify(document, (_name, part: unknown) => (typeof part === "bigint" ? `${part}n` : part)) ?? "nothing"

/** A window that changed and has not been found in the index since. */
interface Pending {
  readonly image: string
  readonly document: string
  readonly lane: LaneId
  readonly hint: Hint
  readonly sequence: bigint
}

export class SearchCheck {
  private readonly models: MemoryModelDisk
  private readonly windows: MemoryWindowDisk
  private readonly revisions = new Map<string, bigint>()
  private readonly pending = new Map<string, Pending>()
  private seen = 0n

  constructor(models: MemoryModelDisk, windows: MemoryWindowDisk) {
    this.models = models
    this.windows = windows
  }

  /** To be called after every commit, and after every request to the index. */
  readonly look = (): readonly string[] => [...this.wentBack(), ...this.passedOver()]

  private wentBack(): readonly string[] {
    const found: string[] = []
    for (const [image, { documents }] of this.windows.images) {
      for (const [name, { revision }] of documents) {
        const before = this.revisions.get(`${image} ${name}`) ?? 0n
        if (revision < before) found.push(`document ${name} of ${image} went back from revision ${before} to ${revision}`)
        this.revisions.set(`${image} ${name}`, revision)
      }
    }
    return found
  }

  /** Takes what the outbox was given since the last look; what the cursor has passed must be in the index. */
  private passedOver(): readonly string[] {
    const { state, incarnation } = this.models
    for (const { sequence, lane, hints } of state.outbox.values()) {
      if (sequence <= this.seen) continue
      const image = imageName({ ...lane, incarnation })
      for (const hint of hints) this.pending.set(`${image} ${documentName(hint)}`, { image, document: documentName(hint), lane, hint, sequence })
      this.seen = sequence
    }
    const cursor = state.outboxCursors.get(SEARCH_CONSUMER) ?? 0n
    const found: string[] = []
    for (const [name, { image, document, lane, hint, sequence }] of this.pending) {
      if (sequence > cursor) continue
      this.pending.delete(name)
      const { revision } = hint
      // A row that retention has taken out meanwhile is owed no more.
      if (!state.rows.has(rowId(lane, hint))) continue
      if ((this.windows.images.get(image)?.documents.get(document)?.revision ?? 0n) < revision) found.push(`the cursor passed document ${document} of ${image}, which is not there at revision ${revision}`)
    }
    return found
  }

  /** Once everything rests: what each image lacks, or holds otherwise than the rows say. Hidden windows may be there or not. */
  differences(): readonly string[] {
    const { state, incarnation } = this.models
    const found: string[] = []
    for (const record of state.generations.values()) {
      const model = documentModel(record, incarnation)
      const image = this.windows.images.get(imageName(model))
      const received = [...state.checkpoints.values()].filter(({ lane }) => lane.projection === model.projection && lane.generation === model.generation)
        .flatMap(({ partitions }) => partitions.map(({ receivedMaxMs }) => receivedMaxMs ?? -Infinity))
      const fromMs = retainedFromMs(model.retentionDays, Math.max(...received))
      const owed = new Map([...this.owed(model.projection, model.generation)].filter(([, [{ windowStartMs }]]) => windowStartMs >= fromMs).map(([name, rows]) => [name, windowDocument(model, rows)]))
      const stored = new Map([...(image?.documents ?? [])].filter(([, { windowStartMs }]) => windowStartMs >= fromMs))
      if (image?.complete !== true) found.push(`image ${imageName(model)} is not complete`)
      for (const name of new Set([...owed.keys(), ...stored.keys()])) {
        if (textOf(owed.get(name)) !== textOf(stored.get(name))) found.push(`document ${name} of ${imageName(model)}\n    stored   ${textOf(stored.get(name))}\n    expected ${textOf(owed.get(name))}`)
      }
    }
    if (state.outbox.size > 0) found.push(`${state.outbox.size} entries rest in the outbox`)
    return found
  }

  private owed(projection: string, generation: number): ReadonlyMap<string, [StoredRow, ...StoredRow[]]> {
    const windows = new Map<string, [StoredRow, ...StoredRow[]]>()
    for (const { lane, row } of this.models.state.rows.values()) {
      if (lane.projection !== projection || lane.generation !== generation) continue
      const others = windows.get(documentName(row))
      if (others === undefined) windows.set(documentName(row), [row])
      else others.push(row)
    }
    for (const rows of windows.values()) rows.sort((a, b) => a.lane - b.lane)
    return windows
  }
}
