/**
 * How notifications are addressed on the bus (`PubSub`). They carry what changed and a version, never a value: the
 * receiver reads the read model.
 *
 * Three kinds: hints of changed windows, by tenant and projection; checkpoints of a projection that moved, whether a row
 * changed or not (the watermark advances with every heartbeat); and pointers that name another generation.
 */

/** Topic of the hints of one projection of one tenant. The length keeps tenants from running into projections. */
export const modelTopic = (tenantId: string, projection: string): string => `model:${tenantId.length}:${tenantId}:${projection}`

export interface HintKey {
  readonly resolution: number
  readonly windowStartMs: number
}

/**
 * Key of a hint: resolution code, window start, key id. Its version is `hintVersion`; of two hints of one key the higher
 * one came later. It is no revision: that is the sum over the partials of all lanes, and read with the row.
 */
export const hintKey = (hint: HintKey & { readonly keyId: string }): string => `${hint.resolution}:${hint.windowStartMs}:${hint.keyId}`

/** Sequence of the outbox entry, decimal: rises with every flush of any lane, and only repeats where hints are published again. */
export const hintVersion = (sequence: bigint): string => sequence.toString()

/**
 * Key of the notification in front of the hints of one publication on a model's topic: its version is the highest hint
 * version published there before, by the same publisher. A subscriber that had heard an earlier one and not this has
 * lost hints, which a bus may do without knowing. Absent where the publisher does not remember one.
 */
export const AFTER_KEY = "after"

/** The number a version is; undefined when it is none: another writer on the topic. */
export const readVersion = (version: string): bigint | undefined => (/^\d{1,20}$/.test(version) ? BigInt(version) : undefined)

/** What a hint's key names; undefined when it is not one of these keys. */
export const readHintKey = (key: string): HintKey | undefined => {
  const match = /^([012]):(-?\d{1,16}):/.exec(key)
  return match === null ? undefined : { resolution: Number(match[1]), windowStartMs: Number(match[2]) }
}

/**
 * Topic of a projection's checkpoints, for all tenants. The runtime publishes one notification after a flush that moved
 * a checkpoint, at most 10 a second per projection, the last one never left out: key = the projection, version =
 * `checkpointVersion` of the next offsets. The hints of all that was folded up to there were published before.
 */
export const checkpointTopic = (projection: string): string => `checkpoint:${projection}`

/** Sum of the next offsets, decimal: rises with every record folded. */
export const checkpointVersion = (position: readonly { readonly nextOffset: bigint }[]): string =>
  position.reduce((sum, { nextOffset }) => sum + nextOffset, 0n).toString()

/**
 * Topic of a projection's pointer, for all tenants: told after a cut-over or rollback, by whoever moved it. Key = the
 * projection, version = the pointer's.
 */
export const pointerTopic = (projection: string): string => `pointer:${projection}`
