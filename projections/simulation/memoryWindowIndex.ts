/** The window index in memory, with external versions as a real one has them. What is stored outlives the layer. */
import { SearchUnavailableError } from "@tidemark/domain/ports/SearchIndex"
import { WindowIndex, holdsText } from "@tidemark/domain/ports/WindowIndex"
import type {
  Candidates, PutOutcome, Ranking, WindowDocument, WindowFound, WindowImage, WindowIndexShape, WindowModel, WindowSearch, WindowSelection
} from "@tidemark/domain/ports/WindowIndex"
import type { RowKey } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

interface StoredImage extends WindowImage {
  readonly documents: Map<string, WindowDocument>
  complete: boolean
  /** Names of documents kept aside. */
  readonly refused: Set<string>
}

/** What is stored, and what the simulation decides of each request and document. */
export interface MemoryWindowDisk {
  readonly images: Map<string, StoredImage>
  isDown: () => boolean
  /** True: the request takes effect, and nobody hears of it. */
  isReplyLost: () => boolean
  itemFault: (document: WindowDocument) => "again" | "refused" | undefined
}

/** An empty disk without faults. */
export const createMemoryWindowDisk = (): MemoryWindowDisk => ({ images: new Map(), isDown: () => false, isReplyLost: () => false, itemFault: () => undefined })

/** Name of an image in `MemoryWindowDisk.images`. */
export const imageName = ({ projection, generation, incarnation }: WindowImage): string => `${projection}/${generation}/${incarnation}`
/** Name of a document within its image. */
export const documentName = ({ tenantId, resolution, windowStartMs, keyId }: RowKey): string => `${tenantId}/${resolution}/${windowStartMs}/${keyId}`

const unavailable = new SearchUnavailableError({ cause: new Error("simulated") })

const imageOf = (disk: MemoryWindowDisk, image: WindowImage): StoredImage => {
  const { projection, generation, incarnation } = image
  const known = disk.images.get(imageName(image)) ?? { projection, generation, incarnation, documents: new Map<string, WindowDocument>(), complete: false, refused: new Set<string>() }
  disk.images.set(imageName(image), known)
  return known
}

const putOne = (disk: MemoryWindowDisk, image: StoredImage, document: WindowDocument): PutOutcome => {
  const fault = disk.itemFault(document)
  if (fault === "again") return { kind: "again", cause: "simulated" }
  if (fault === "refused") return { kind: "refused", reason: "simulated" }
  const stored = image.documents.get(documentName(document))
  if (stored === undefined || stored.revision < document.revision) image.documents.set(documentName(document), document)
  else if (stored.revision === document.revision && stored.contentHash !== document.contentHash) return { kind: "conflict", detail: documentName(document) }
  return { kind: "done" }
}

const isIn = (model: WindowModel, document: WindowDocument, { tenantId, resolution, fromMs, toMs, where = [] }: WindowSelection): boolean =>
  document.tenantId === tenantId && document.resolution === resolution && document.windowStartMs >= fromMs && document.windowStartMs < toMs
  && where.every(({ name, in: values }) => values.includes(document.key[model.dimensions.indexOf(name)] ?? ""))

const newestFirst = (a: RowKey, b: RowKey): number => b.windowStartMs - a.windowStartMs || (a.keyId < b.keyId ? -1 : a.keyId > b.keyId ? 1 : 0)

const counted = (values: readonly string[]): { readonly value: string; readonly windows: number }[] => {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].map(([value, windows]) => ({ value, windows })).sort((a, b) => b.windows - a.windows || (a.value < b.value ? -1 : 1))
}

const find = (model: WindowModel, stored: StoredImage, search: WindowSearch): WindowFound => {
  const { after, limit, facets = [], facetMax = 10 } = search
  const all = [...stored.documents.values()].filter((document) => isIn(model, document, search)).sort(newestFirst)
  const documents = all.filter((document) => after === undefined || newestFirst({ ...document, ...after }, document) < 0).slice(0, limit)
  return { documents, facets: Object.fromEntries(facets.map((name) => [name, counted(all.map(({ key }) => key[model.dimensions.indexOf(name)] ?? "")).slice(0, facetMax)])) }
}

const byCodePoint = (a: string, b: string): number => {
  const [left, right] = [[...a], [...b]]
  const at = left.findIndex((letter, place) => letter !== right[place])
  return at < 0 ? left.length - right.length : (left[at]?.codePointAt(0) ?? 0) - (right[at]?.codePointAt(0) ?? -1)
}

const candidates = (model: WindowModel, stored: StoredImage, selections: readonly WindowSelection[], { figure, by, limit, text = "" }: Ranking): Candidates => {
  const sums = new Map<string, number>()
  for (const document of stored.documents.values()) {
    const value = document.key[model.dimensions.indexOf(by)] ?? ""
    if (!holdsText(value, text) || !selections.some((selection) => isIn(model, document, selection))) continue
    const added = figure === undefined ? Number(document.events) : (document.figures[model.figures.indexOf(figure)] ?? 0)
    sums.set(value, (sums.get(value) ?? 0) + added)
  }
  const ranked = [...sums].sort(([a, left], [b, right]) => right - left || byCodePoint(a, b))
  const [value, amount] = (ranked.length > limit ? ranked[limit - 1] : undefined) ?? []
  return { values: ranked.slice(0, limit).map(([name]) => name), last: value === undefined || amount === undefined ? undefined : { value, amount }, complete: true }
}

/** The index on `disk`, for one process or all. */
export const makeMemoryWindows = (disk: MemoryWindowDisk): WindowIndexShape => {
  const up = <A>(act: () => A): Effect.Effect<A, SearchUnavailableError> => Effect.suspend((): Effect.Effect<A, SearchUnavailableError> => {
    if (disk.isDown()) return Effect.fail(unavailable)
    const answer = act()
    return disk.isReplyLost() ? Effect.fail(unavailable) : Effect.succeed(answer)
  })
  return {
    put: (model, documents) => up(() => documents.map((document) => putOne(disk, imageOf(disk, model), document))),
    read: (model, keys) => up(() => keys.map((key) => imageOf(disk, model).documents.get(documentName(key)))),
    find: (model, search) => up(() => find(model, imageOf(disk, model), search)),
    candidates: (model, selections, ranking) => up(() => candidates(model, imageOf(disk, model), selections, ranking)),
    refresh: () => up(() => {}),
    keepRefused: (model, refused) => up(() => {
      for (const { document } of refused) imageOf(disk, model).refused.add(documentName(document))
    }),
    state: (image) => up(() => {
      const stored = disk.images.get(imageName(image))
      return { complete: stored?.complete ?? false, refused: stored?.refused.size ?? 0 }
    }),
    setComplete: (image, complete) => up(() => {
      imageOf(disk, image).complete = complete
    }),
    images: up(() => [...disk.images.values()].map(({ projection, generation, incarnation }) => ({ projection, generation, incarnation }))),
    drop: (image, beforeMs = Infinity) => up(() => {
      const stored = imageOf(disk, image)
      if (beforeMs === Infinity) disk.images.delete(imageName(image))
      else for (const [name, { windowStartMs }] of stored.documents) if (windowStartMs < beforeMs) stored.documents.delete(name)
    })
  }
}

/** The index on `disk`. */
export const memoryWindowIndex = (disk: MemoryWindowDisk): Layer.Layer<WindowIndex> => Layer.effect(WindowIndex, Effect.sync(() => makeMemoryWindows(disk)))
