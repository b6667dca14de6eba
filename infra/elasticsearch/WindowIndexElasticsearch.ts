/**
 * Window documents on Elasticsearch: one index a month (of older windows a year) and image, external versions, per-item outcomes.
 *
 * An item answered 409 is looked up: a newer document, or the same one, is what was wanted; the same version with another
 * content is a conflict; an older one, or none, means that the answer was wrong and the item is sent again.
 */
import { WindowIndex } from "@tidemark/domain/ports/WindowIndex"
import type {
  Candidates, PutOutcome, Ranking, WindowDocument, WindowFound, WindowImage, WindowIndexShape, WindowModel, WindowSearch, WindowSelection
} from "@tidemark/domain/ports/WindowIndex"
import type { RowKey } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { isAgain, sendBulk } from "./bulk.ts"
import type { BulkItem } from "./bulk.ts"
import type { Elasticsearch, ElasticsearchSettings, ElasticsearchUnreachableError } from "./elasticsearchClient.ts"
import { ElasticsearchAnswerError, connectElasticsearch, orUnavailable } from "./elasticsearchClient.ts"
import { Indices, KEYWORD_CHARS_MAX, writeAlias } from "./indices.ts"
import { STATE_SHAPE, WindowNames, documentId, fromSource, selectionFilter, sourceWriter, windowShape } from "./windowDocuments.ts"
import type { WindowSource } from "./windowDocuments.ts"

const COMPLETE_ID = "complete"
/** Values a ranking looks at; beyond it the list may lack one. */
const RANKED_MAX = 10_000
/** Indices of one image, as many as a page holds: a month each. */
const INDICES_MAX = 10_000
const FACET_DEFAULT = 10
/** So many values of each index are counted exactly. */
const FACET_SHARD_SIZE = 1_000
const NO_INDEX = "allow_no_indices=true&ignore_unavailable=true"

interface Found {
  readonly _id: string
  readonly found?: boolean
  readonly _source?: WindowSource
}

interface Searched {
  readonly hits: { readonly hits: readonly { readonly _source: WindowSource }[] }
  readonly aggregations?: Readonly<Record<string, Buckets>>
}

interface Buckets {
  readonly buckets: readonly { readonly key: string; readonly doc_count: number; readonly sum?: { readonly value: number } }[]
  readonly sum_other_doc_count: number
}

interface Ranked {
  readonly unseen: { readonly doc_count: number }
  readonly held: { readonly ranked: Buckets }
}

class Windows {
  private readonly engine: Elasticsearch
  private readonly indices: Indices
  private readonly names: WindowNames
  /** Indices that are noted as parts of their image. */
  private readonly noted = new Set<string>()
  private isEarlierLeft = false

  constructor(engine: Elasticsearch, namespace: string) {
    this.engine = engine
    this.indices = new Indices(engine)
    this.names = new WindowNames(namespace)
  }

  /**
   * Where each document belongs, and why an index is not to be had: a cluster has room for so many only, and one document of
   * a month that nobody expects must not keep all others waiting.
   */
  private async ensure(model: WindowModel, documents: readonly WindowDocument[]): Promise<{ readonly names: readonly string[]; readonly noIndex: ReadonlyMap<string, string> }> {
    const names = documents.map(({ windowStartMs }) => this.names.indexOf(model, windowStartMs))
    const noIndex = new Map<string, string>()
    // First, while there is room: what is refused is kept there.
    await this.indices.ensure(this.names.state(model), STATE_SHAPE)
    await Promise.all([...new Set(names)].map(async (name) => {
      try {
        await this.note(model, name)
        await this.indices.ensure(name, windowShape(model))
      } catch (cause) {
        if (!(cause instanceof ElasticsearchAnswerError) || cause.status !== 400) throw cause
        noIndex.set(name, `400 ${cause.message}`)
      }
    }))
    return { names, noIndex }
  }

  /** Notes, before it is made, that an index belongs to the image: one that is gone later was lost. */
  private async note(image: WindowImage, name: string): Promise<void> {
    if (this.noted.has(name)) return
    await this.writeState(image, [this.stateAction(image, `index ${name}`), JSON.stringify({ kind: "index", name })])
    this.noted.add(name)
  }

  async put(model: WindowModel, documents: readonly WindowDocument[]): Promise<readonly PutOutcome[]> {
    if (documents.length === 0) return []
    const { names, noIndex } = await this.ensure(model, documents)
    if (noIndex.size === 0) return this.send(model, documents, names)
    const isSent = names.map((name) => !noIndex.has(name))
    const outcomes = [...(await this.send(model, documents.filter((_, at) => isSent[at]), names.filter((_, at) => isSent[at])))].reverse()
    return names.map((name) => {
      const reason = noIndex.get(name)
      return reason === undefined ? (outcomes.pop() ?? { kind: "again", cause: "no outcome" }) : { kind: "refused", reason }
    })
  }

  private async send(model: WindowModel, documents: readonly WindowDocument[], names: readonly string[]): Promise<readonly PutOutcome[]> {
    if (documents.length === 0) return []
    const lines: string[] = []
    const write = sourceWriter(model)
    for (const [at, document] of documents.entries()) {
      // Written as text: the version is a 64-bit number.
      lines.push(`{"index":{"_index":"${writeAlias(names[at] ?? "")}","_id":"${documentId(document)}","version":${document.revision},"version_type":"external","require_alias":true}}`)
      lines.push(write(document))
    }
    const items = await sendBulk(this.engine, lines)
    await this.mindLost(model, new Set(names.filter((_, at) => items[at]?.status === 404)))
    const refusedByVersion = documents.filter((_, at) => items[at]?.status === 409)
    const stored = new Map<string, WindowSource>()
    if (refusedByVersion.length > 0) for (const { _id, _source } of await this.lookUp(model, refusedByVersion)) if (_source !== undefined) stored.set(_id, _source)
    return documents.map((document, at) => {
      const item = items[at] ?? { status: 0, error: undefined }
      return outcomeOf(document, item, stored.get(documentId(document)))
    })
  }

  /** Indices that were there are gone, and with them what is not sent now: the image has to be published anew. */
  private async mindLost(model: WindowModel, lost: ReadonlySet<string>): Promise<void> {
    for (const name of lost) this.indices.forget(name)
    if (lost.size > 0) await this.setComplete(model, false)
  }

  /** Reads by id, searchable or not. */
  private async lookUp(model: WindowModel, keys: readonly RowKey[]): Promise<readonly Found[]> {
    const docs = keys.map((key) => ({ _index: this.names.indexOf(model, key.windowStartMs), _id: documentId(key) }))
    return ((await this.engine.need("POST", "/_mget", { docs })) as { readonly docs: readonly Found[] }).docs
  }

  async read(model: WindowModel, keys: readonly RowKey[]): Promise<readonly (WindowDocument | undefined)[]> {
    if (keys.length === 0) return []
    return (await this.lookUp(model, keys)).map(({ _source }) => (_source === undefined ? undefined : fromSource(model, _source)))
  }

  private async search(image: WindowImage, body: object): Promise<Searched> {
    return (await this.engine.need("POST", `/${this.names.windows(image)}*/_search?${NO_INDEX}`, { track_total_hits: false, ...body })) as Searched
  }

  async find(model: WindowModel, search: WindowSearch): Promise<WindowFound> {
    const { limit, after, facets = [], facetMax = FACET_DEFAULT } = search
    const terms = (name: string) => ({ terms: { field: `key.${name}`, size: facetMax, shard_size: Math.max(FACET_SHARD_SIZE, facetMax), order: [{ _count: "desc" }, { _key: "asc" }] } })
    const { hits, aggregations = {} } = await this.search(model, {
      size: limit, query: selectionFilter(search), sort: [{ windowStart: "desc" }, { keyId: "asc" }],
      ...(after === undefined ? {} : { search_after: [after.windowStartMs, after.keyId] }),
      ...(facets.length === 0 ? {} : { aggs: Object.fromEntries(facets.map((name) => [name, terms(name)])) })
    })
    return {
      documents: hits.hits.map(({ _source }) => fromSource(model, _source)),
      facets: Object.fromEntries(facets.map((name) => [name, (aggregations[name]?.buckets ?? []).map(({ key, doc_count: windows }) => ({ value: key, windows }))]))
    }
  }

  async candidates(model: WindowModel, selections: readonly WindowSelection[], { figure, by, limit, text = "" }: Ranking): Promise<Candidates> {
    const field = `key.${by}`
    const sum = { sum: { field: figure === undefined ? "events" : `figures.${figure}` } }
    const terms = { field, size: RANKED_MAX, order: [{ sum: "desc" }, { _key: "asc" }] }
    // All buckets come back: cutting the list after it is known to be whole takes a module that not every engine has.
    const ranked = { terms, aggs: { sum } }
    const filter = text === "" ? { match_all: {} } : { wildcard: { [field]: { value: `*${text.replace(/[\\*?]/g, "\\$&")}*`, case_insensitive: true } } }
    const answer = await this.search(model, {
      size: 0, query: { bool: { should: selections.map(selectionFilter), minimum_should_match: 1 } },
      aggs: { unseen: { missing: { field } }, held: { filter, aggs: { ranked } } }
    })
    const { unseen, held } = (answer.aggregations ?? {}) as Partial<Ranked>
    const buckets = held?.ranked.buckets ?? []
    const behind = buckets.length > limit ? buckets[limit - 1] : undefined
    return {
      values: buckets.slice(0, limit).map(({ key }) => key), last: behind === undefined ? undefined : { value: behind.key, amount: behind.sum?.value ?? 0 },
      complete: (held?.ranked.sum_other_doc_count ?? 0) === 0 && (unseen?.doc_count ?? 0) === 0 && !selections.some(({ where = [] }) => where.some((one) => one.in.some(isUnindexed)))
    }
  }

  async refresh(image: WindowImage): Promise<void> {
    await this.engine.need("POST", `/${this.names.windows(image)}*/_refresh?${NO_INDEX}`)
  }

  private async writeState(image: WindowImage, lines: readonly string[]): Promise<void> {
    const name = this.names.state(image)
    await this.indices.ensure(name, STATE_SHAPE)
    const failed = (await sendBulk(this.engine, lines)).find(({ status }) => status >= 300)
    if (failed === undefined) return
    this.indices.forget(name)
    throw new Error(`${name} does not take what belongs into it: ${failed.status} ${failed.error}`)
  }

  private stateAction(image: WindowImage, id: string): string {
    return JSON.stringify({ index: { _index: writeAlias(this.names.state(image)), _id: id, require_alias: true } })
  }

  async keepRefused(model: WindowModel, refused: readonly { readonly document: WindowDocument; readonly reason: string }[]): Promise<void> {
    const write = sourceWriter(model)
    await this.writeState(model, refused.flatMap(({ document, reason }) => [
      this.stateAction(model, documentId(document)), JSON.stringify({ kind: "refused", reason, document: write(document) })
    ]))
  }

  async state(image: WindowImage): Promise<{ readonly complete: boolean; readonly refused: number }> {
    const name = this.names.state(image)
    const marker = (await this.engine.ask("GET", `/${name}/_doc/${COMPLETE_ID}`)).body as { readonly _source?: { readonly complete: boolean } }
    if (marker._source === undefined && (await this.indices.list(name)).length === 0) return { complete: false, refused: 0 }
    await this.engine.need("POST", `/${name}/_refresh`)
    const body = { size: INDICES_MAX, query: { term: { kind: "index" } }, _source: ["name"], track_total_hits: false }
    const [there, noted, counted] = await Promise.all([
      this.indices.list(this.names.windows(image)), this.engine.need("POST", `/${name}/_search`, body) as Promise<{ readonly hits: { readonly hits: readonly { readonly _source: { readonly name: string } }[] } }>,
      this.engine.need("POST", `/${name}/_count`, { query: { term: { kind: "refused" } } }) as Promise<{ readonly count: number }>
    ])
    const isWhole = noted.hits.hits.every(({ _source }) => there.includes(_source.name))
    return { complete: isWhole && (marker._source?.complete ?? false), refused: counted.count }
  }

  async setComplete(image: WindowImage, complete: boolean): Promise<void> {
    // Whoever dropped the state took the notes of the indices with it.
    const parts = complete ? await this.indices.list(this.names.windows(image)) : []
    await this.writeState(image, [
      ...parts.flatMap((name) => [this.stateAction(image, `index ${name}`), JSON.stringify({ kind: "index", name })]),
      this.stateAction(image, COMPLETE_ID), JSON.stringify({ kind: "complete", complete })
    ])
  }

  async images(): Promise<readonly WindowImage[]> {
    await this.leaveEarlier()
    const found = new Map<string, WindowImage>()
    for (const prefix of this.names.prefixes) {
      for (const index of await this.indices.list(prefix)) {
        const image = this.names.imageOf(index)
        if (image !== undefined) found.set(this.names.state(image), image)
      }
    }
    return [...found.values()]
  }

  /** Drops what earlier versions kept, once in a process: nothing reads or writes it any more. */
  private async leaveEarlier(): Promise<void> {
    if (this.isEarlierLeft) return
    for (const prefix of this.names.earlier) await this.indices.drop(await this.indices.list(prefix))
    this.isEarlierLeft = true
  }

  async drop(image: WindowImage, beforeMs?: number): Promise<void> {
    const found = await this.indices.list(this.names.windows(image))
    // The state goes first: an image that is half dropped is not complete.
    if (beforeMs === undefined) {
      for (const name of found) this.noted.delete(name)
      return this.indices.drop([this.names.state(image), ...found])
    }
    const old = found.filter((index) => this.names.endMs(index) <= beforeMs)
    if (old.length === 0) return
    // First no parts of the image any more: what is dropped on purpose is not lost.
    await this.writeState(image, old.flatMap((name) => [this.stateAction(image, `index ${name}`), JSON.stringify({ kind: "dropped", name })]))
    for (const name of old) this.noted.delete(name)
    await this.indices.drop(old)
  }
}

/** Longer texts are in no column and found by no filter. */
const isUnindexed = (text: string): boolean => text.length > KEYWORD_CHARS_MAX

const outcomeOf = (document: WindowDocument, item: BulkItem, stored: WindowSource | undefined): PutOutcome => {
  const { status, error = "" } = item
  if (status >= 200 && status < 300) return { kind: "done" }
  if (status === 409) {
    const revision = stored === undefined ? -1n : BigInt(stored.revision)
    if (revision > document.revision || (revision === document.revision && stored?.contentHash === document.contentHash)) return { kind: "done" }
    if (revision < document.revision) return { kind: "again", cause: `409, and the stored revision is ${revision}` }
    return { kind: "conflict", detail: `${documentId(document)} has two contents at revision ${revision}: ${stored?.contentHash} is stored, ${document.contentHash} was sent` }
  }
  return isAgain(item) ? { kind: "again", cause: `${status} ${error}` } : { kind: "refused", reason: `${status} ${error}` }
}

const makeIndex = (windows: Windows): WindowIndexShape => ({
  put: (model, documents) => orUnavailable(() => windows.put(model, documents)),
  read: (model, keys) => orUnavailable(() => windows.read(model, keys)),
  find: (model, search) => orUnavailable(() => windows.find(model, search)),
  candidates: (model, selections, ranking) => orUnavailable(() => windows.candidates(model, selections, ranking)),
  refresh: (image) => orUnavailable(() => windows.refresh(image)),
  keepRefused: (model, refused) => orUnavailable(() => windows.keepRefused(model, refused)),
  state: (image) => orUnavailable(() => windows.state(image)),
  setComplete: (image, complete) => orUnavailable(() => windows.setComplete(image, complete)),
  images: orUnavailable(() => windows.images()),
  drop: (image, beforeMs) => orUnavailable(() => windows.drop(image, beforeMs))
})

/** The window index of one namespace in the cluster at `settings.url`. Needs it at start and goes on when it comes back later. */
export const windowIndexElasticsearch = (settings: ElasticsearchSettings): Layer.Layer<WindowIndex, ElasticsearchUnreachableError> =>
  Layer.effect(WindowIndex, Effect.map(connectElasticsearch(settings), (engine) => makeIndex(new Windows(engine, settings.namespace))))
