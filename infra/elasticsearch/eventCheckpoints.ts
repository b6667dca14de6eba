/** How far each partition of a log is indexed: everything below is searchable. Kept beside the documents. */
import { sendBulk } from "./bulk.ts"
import type { Elasticsearch } from "./elasticsearchClient.ts"
import type { EventNames } from "./eventDocuments.ts"
import { KEYWORD, writeAlias } from "./indices.ts"
import type { Indices, IndexShape } from "./indices.ts"

const STATE_SHAPE: IndexShape = { properties: { kind: KEYWORD } }

interface CheckpointSource {
  readonly next: string
}

export interface RefusedEvent {
  readonly partition: number
  readonly offset: bigint
  readonly reason: string
}

export class EventCheckpoints {
  private readonly engine: Elasticsearch
  private readonly indices: Indices
  private readonly names: EventNames

  constructor(engine: Elasticsearch, indices: Indices, names: EventNames) {
    this.engine = engine
    this.indices = indices
    this.names = names
  }

  /** Next offset of each partition; 0 where nothing is indexed. */
  async read(partitions: readonly number[], maxMs?: number): Promise<ReadonlyMap<number, bigint>> {
    const docs = partitions.map((partition) => ({ _index: this.names.state, _id: `p${partition}` }))
    const found = (await this.engine.need("POST", "/_mget", { docs }, maxMs)) as { readonly docs: readonly { readonly _source?: CheckpointSource }[] }
    return new Map(partitions.map((partition, at) => [partition, BigInt(found.docs[at]?._source?.next ?? "0")]))
  }

  private async write(lines: readonly string[]): Promise<void> {
    await this.indices.ensure(this.names.state, STATE_SHAPE)
    // A checkpoint that is further already stays: another indexer was faster.
    const failed = (await sendBulk(this.engine, lines)).find(({ status }) => status >= 300 && status !== 409)
    if (failed === undefined) return
    this.indices.forget(this.names.state)
    throw new Error(`${this.names.state} does not take a checkpoint: ${failed.status} ${failed.error}`)
  }

  /** Moves checkpoints forward, never back. */
  async advance(positions: ReadonlyMap<number, bigint>): Promise<void> {
    const lines: string[] = []
    for (const [partition, next] of positions) {
      lines.push(`{"index":{"_index":"${writeAlias(this.names.state)}","_id":"p${partition}","version":${next},"version_type":"external","require_alias":true}}`)
      lines.push(JSON.stringify({ kind: "checkpoint", next: String(next) } satisfies CheckpointSource & { readonly kind: string }))
    }
    if (lines.length > 0) await this.write(lines)
  }

  /** Keeps aside which events the engine refuses: they are not found until somebody looks into it. */
  async keepRefused(refused: readonly RefusedEvent[]): Promise<void> {
    if (refused.length === 0) return
    await this.write(refused.flatMap(({ partition, offset, reason }) => [
      JSON.stringify({ index: { _index: writeAlias(this.names.state), _id: `r${partition}-${offset}`, require_alias: true } }),
      JSON.stringify({ kind: "refused", partition, offset: String(offset), reason })
    ]))
  }

  /** Events kept aside. */
  async refused(): Promise<number> {
    if ((await this.indices.list(this.names.state)).length === 0) return 0
    await this.engine.need("POST", `/${this.names.state}/_refresh`)
    return ((await this.engine.need("POST", `/${this.names.state}/_count`, { query: { term: { kind: "refused" } } })) as { readonly count: number }).count
  }
}
