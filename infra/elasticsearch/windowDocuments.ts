/** Window documents as they stand in the index, and where. */
import type { ResolutionCode, RowKey } from "@tidemark/domain/ports/ReadModelStore"
import type { WindowDocument, WindowImage, WindowModel, WindowSelection } from "@tidemark/domain/ports/WindowIndex"
import type { IndexShape } from "./indices.ts"
import { KEYWORD, STORED, monthOf, periodEndMs } from "./indices.ts"

/** A source as it is stored; exact numbers are texts. */
export interface WindowSource {
  readonly tenantId: string
  readonly resolution: ResolutionCode
  readonly windowStart: number
  readonly keyId: string
  readonly key: Readonly<Record<string, string>>
  readonly figures: Readonly<Record<string, number>>
  readonly events: string
  readonly lateEvents: string
  readonly backfillEvents: string
  readonly fingerprint: string
  readonly revision: string
  readonly contentHash: string
}

const imageName = ({ projection, generation, incarnation }: WindowImage): string => `${projection}-g${generation}-${incarnation}`

/**
 * Windows before it share an index a year: what is that old was imported, and a cluster has room for so many indices only.
 * Never to be changed without new prefixes: a document must not be in two indices.
 */
const MONTHLY_FROM_MS = Date.UTC(2024, 0)

/** Names of everything a namespace keeps of windows. */
export class WindowNames {
  private readonly prefix: string
  private readonly statePrefix: string
  /** What earlier versions of this program kept, in documents of another form. */
  readonly earlier: readonly string[]

  constructor(namespace: string) {
    this.prefix = `${namespace}-windowdocs-`
    this.statePrefix = `${namespace}-windowdocstate-`
    this.earlier = [`${namespace}-windows-`, `${namespace}-windowstate-`]
  }

  /** One index a month of window starts, of older ones a year. */
  indexOf(image: WindowImage, windowStartMs: number): string {
    const month = monthOf(windowStartMs)
    return `${this.prefix}${imageName(image)}-${windowStartMs < MONTHLY_FROM_MS ? month.slice(0, -3) : month}`
  }

  /** Begins the names of all its indices of windows. */
  windows(image: WindowImage): string {
    return `${this.prefix}${imageName(image)}-`
  }

  /** Whether the image is complete, and what was refused. */
  state(image: WindowImage): string {
    return `${this.statePrefix}${imageName(image)}`
  }

  get prefixes(): readonly string[] {
    return [this.prefix, this.statePrefix]
  }

  /** The image an index belongs to; undefined for a name that is none of ours. */
  imageOf(index: string): WindowImage | undefined {
    const prefix = this.prefixes.find((begin) => index.startsWith(begin))
    const parts = prefix === undefined ? null : /^(.+)-g(\d+)-([a-z0-9]+)(-\d{4,6}(\.\d\d)?)?$/.exec(index.slice(prefix.length))
    return parts === null ? undefined : { projection: parts[1] ?? "", generation: Number(parts[2]), incarnation: parts[3] ?? "" }
  }

  /** First instant after the windows of an index, Unix ms. */
  endMs(index: string): number {
    return periodEndMs(index.slice(index.lastIndexOf("-") + 1))
  }
}

/** Deterministic; the key id is a hash of tenant and key. */
export const documentId = ({ resolution, windowStartMs, keyId }: RowKey): string => `${resolution}.${windowStartMs}.${keyId}`

/** Mappings of an image's indices of windows. */
export const windowShape = ({ dimensions, figures }: WindowModel): IndexShape => ({
  properties: {
    // What is only sorted or summed is kept in columns and not searched.
    tenantId: KEYWORD, resolution: { type: "byte" }, windowStart: { type: "long" }, keyId: { ...KEYWORD, index: false },
    key: { properties: Object.fromEntries(dimensions.map((name) => [name, KEYWORD])) },
    figures: { properties: Object.fromEntries(figures.map((name) => [name, { type: "double", index: false }])) }, events: { type: "long", index: false },
    contentHash: STORED, revision: STORED
  }
})

/** Mappings of an image's state index. */
export const STATE_SHAPE: IndexShape = { properties: { kind: KEYWORD, name: KEYWORD, document: STORED, reason: STORED } }

/** Writes the sources of a model's documents as JSON: names are quoted once. */
export const sourceWriter = ({ dimensions, figures }: WindowModel): ((document: WindowDocument) => string) => {
  const keys = dimensions.map((name, at) => `${at === 0 ? "" : ","}${JSON.stringify(name)}:`)
  const numbers = figures.map((name, at) => `${at === 0 ? "" : ","}${JSON.stringify(name)}:`)
  return (document) => {
    let key = ""
    for (let at = 0; at < keys.length; at++) key += keys[at] + JSON.stringify(document.key[at] ?? "")
    let values = ""
    for (let at = 0; at < numbers.length; at++) values += numbers[at] + String(document.figures[at] ?? 0)
    const { tenantId, resolution, windowStartMs, keyId, events, lateEvents, backfillEvents, fingerprint, revision, contentHash } = document
    return `{"tenantId":${JSON.stringify(tenantId)},"resolution":${resolution},"windowStart":${windowStartMs},"keyId":"${keyId}","key":{${key}},"figures":{${values}},"events":"${events}",`
      + `"lateEvents":"${lateEvents}","backfillEvents":"${backfillEvents}","fingerprint":"${fingerprint}","revision":"${revision}","contentHash":"${contentHash}"}`
  }
}

export const fromSource = (model: WindowModel, source: WindowSource): WindowDocument => ({
  tenantId: source.tenantId, resolution: source.resolution, windowStartMs: source.windowStart, keyId: source.keyId,
  key: model.dimensions.map((name) => source.key[name] ?? ""), figures: model.figures.map((name) => source.figures[name] ?? 0),
  events: BigInt(source.events), lateEvents: BigInt(source.lateEvents), backfillEvents: BigInt(source.backfillEvents), fingerprint: BigInt(source.fingerprint),
  revision: BigInt(source.revision), contentHash: source.contentHash
})

/** The selection as a filter. */
export const selectionFilter = ({ tenantId, resolution, fromMs, toMs, where = [] }: WindowSelection): object => ({
  bool: {
    filter: [
      { term: { tenantId } }, { term: { resolution } }, { range: { windowStart: { gte: fromMs, lt: toMs } } },
      ...where.map(({ name, in: values }) => ({ terms: { [`key.${name}`]: values } }))
    ]
  }
})
