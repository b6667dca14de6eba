/**
 * Indices with mappings written out, never made by a write. A document is written through an alias that has to exist, so
 * a write to an index that is gone fails instead of making one with guessed mappings.
 */
import type { Elasticsearch } from "./elasticsearchClient.ts"
import { ElasticsearchAnswerError } from "./elasticsearchClient.ts"

export interface IndexShape {
  readonly properties: Readonly<Record<string, object>>
  readonly settings?: Readonly<Record<string, string | number>>
}

const SETTINGS = { number_of_shards: 1, auto_expand_replicas: "0-1" }
/** Longer texts are not indexed: a term is at most 32,766 bytes. */
export const KEYWORD_CHARS_MAX = 8_000
export const KEYWORD = { type: "keyword", ignore_above: KEYWORD_CHARS_MAX } as const
/** Kept in the source only. */
export const STORED = { type: "keyword", index: false, doc_values: false } as const

/** The alias an index is written through. */
export const writeAlias = (index: string): string => `${index}.write`

/** Whether the engine refused because the index is there already. */
const isThere = (body: unknown): boolean => JSON.stringify(body).includes("resource_already_exists_exception")

/** Year and month of a time, UTC: `2024.01`. Orders as text between the years 0 and 9999. */
export const monthOf = (ms: number): string => {
  const at = new Date(ms)
  return `${String(at.getUTCFullYear()).padStart(4, "0")}.${String(at.getUTCMonth() + 1).padStart(2, "0")}`
}

/** First instant after the month of a name `2024.01`, or the year of a name `2019`, Unix ms. */
export const periodEndMs = (period: string): number => {
  const [year = "", number = "12"] = period.split(".")
  return new Date(0).setUTCFullYear(Number(year), Number(number), 1)
}

/** Indices that are known to exist. */
export class Indices {
  private readonly engine: Elasticsearch
  private readonly known = new Map<string, Promise<void>>()

  constructor(engine: Elasticsearch) {
    this.engine = engine
  }

  private async create(name: string, { properties, settings }: IndexShape): Promise<void> {
    const body = { settings: { ...SETTINGS, ...settings }, mappings: { dynamic: false, properties }, aliases: { [writeAlias(name)]: {} } }
    const answer = await this.engine.ask("PUT", `/${name}`, body)
    if (answer.status >= 300 && !isThere(answer.body)) throw new ElasticsearchAnswerError(name, answer)
  }

  /** Makes the index if it is not there. */
  ensure(name: string, shape: IndexShape): Promise<void> {
    const known = this.known.get(name)
    if (known !== undefined) return known
    const made = this.create(name, shape)
    this.known.set(name, made)
    made.catch(() => this.known.delete(name))
    return made
  }

  /** An index turned out to be gone. */
  forget(name: string): void {
    this.known.delete(name)
  }

  /** Names of the indices that begin so. */
  async list(prefix: string): Promise<readonly string[]> {
    const body = (await this.engine.need("GET", `/${prefix}*/_settings?allow_no_indices=true&filter_path=*.settings.index.provided_name`)) as Readonly<Record<string, unknown>>
    return Object.keys(body).sort()
  }

  /** Drops whole indices; one that is gone is none to drop. */
  async drop(names: readonly string[]): Promise<void> {
    for (const name of names) {
      this.forget(name)
      const answer = await this.engine.ask("DELETE", `/${name}`)
      if (answer.status >= 300 && answer.status !== 404) throw new ElasticsearchAnswerError(name, answer)
    }
  }
}
