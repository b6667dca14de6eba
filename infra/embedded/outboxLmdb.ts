/** The outbox of the LMDB read models: entries numbered upward for ever, and a durable cursor per consumer. */
import { randomBytes } from "node:crypto"
import type { Hint, LaneId, OutboxEntry, ResolutionCode } from "@tidemark/domain/ports/ReadModelStore"
import type { Transaction } from "lmdb"
import { OFFSET_END, offsetText } from "./modelStores.ts"
import type { Key, ModelStores } from "./modelStores.ts"

const SEQUENCE_KEY: Key = ["outbox sequence"]
const INCARNATION_KEY: Key = ["incarnation"]
const INCARNATION_BYTES = 8

type StoredHint = readonly [resolution: ResolutionCode, windowStartMs: number, keyId: string, revision: string]

/** An entry as stored: its lane, and the hints tenant by tenant. */
interface StoredHints {
  readonly lane: LaneId
  readonly tenants: readonly (readonly [tenantId: string, hints: readonly StoredHint[]])[]
}

const encodeHints = (lane: LaneId, hints: readonly Hint[]): string => {
  const tenants = new Map<string, StoredHint[]>()
  for (const { tenantId, resolution, windowStartMs, keyId, revision } of hints) {
    const hint: StoredHint = [resolution, windowStartMs, keyId, revision.toString()]
    const others = tenants.get(tenantId)
    if (others === undefined) tenants.set(tenantId, [hint])
    else others.push(hint)
  }
  return JSON.stringify({ lane, tenants: [...tenants] } satisfies StoredHints)
}

const decodeHints = (text: string): Pick<OutboxEntry, "lane" | "hints"> => {
  const { lane, tenants } = JSON.parse(text) as StoredHints
  return {
    lane,
    hints: tenants.flatMap(([tenantId, hints]) => hints.map(([resolution, windowStartMs, keyId, revision]): Hint => ({ tenantId, resolution, windowStartMs, keyId, revision: BigInt(revision) })))
  }
}

/** Adds an entry within the transaction that is open. The number is kept apart from the entries, so that none comes twice. */
export const addToOutbox = (stores: ModelStores, lane: LaneId, hints: readonly Hint[]): void => {
  const sequence = BigInt(stores.root.get(SEQUENCE_KEY) ?? "0") + 1n
  stores.root.putSync(SEQUENCE_KEY, sequence.toString())
  stores.outbox.putSync([offsetText(sequence)], encodeHints(lane, hints))
}

/** Name of this environment's history, made by whoever asks first. */
export const incarnationOf = (stores: ModelStores): string => {
  const known = stores.root.get(INCARNATION_KEY)
  if (known !== undefined) return known
  return stores.root.transactionSync(() => {
    const others = stores.root.get(INCARNATION_KEY)
    if (others !== undefined) return others
    const made = randomBytes(INCARNATION_BYTES).toString("hex")
    stores.root.putSync(INCARNATION_KEY, made)
    return made
  })
}

const cursorOf = (stores: ModelStores, consumer: string): bigint | undefined => {
  const text = stores.outboxCursors.get([consumer])
  return text === undefined ? undefined : BigInt(text)
}

/** A composite key of one part reads back as that part. */
const sequenceOf = (key: Key): bigint => BigInt(String(key))

/** The cursor of a consumer; a new one starts just before the oldest entry. */
export const registerOutbox = (stores: ModelStores, consumer: string): { readonly cursor: bigint; readonly created: boolean } => {
  // Asked in every round of a drain: the writer's lock is taken for a new consumer only.
  const seen = cursorOf(stores, consumer)
  if (seen !== undefined) return { cursor: seen, created: false }
  return stores.root.transactionSync(() => {
    const known = cursorOf(stores, consumer)
    if (known !== undefined) return { cursor: known, created: false }
    const [oldest] = stores.outbox.getKeys({ limit: 1 })
    const cursor = oldest === undefined ? BigInt(stores.root.get(SEQUENCE_KEY) ?? "0") : sequenceOf(oldest) - 1n
    stores.outboxCursors.putSync([consumer], cursor.toString())
    return { cursor, created: true }
  })
}

/** Entries after the consumer's cursor and after `after`; none for a consumer that is not registered. */
export const readOutbox = (stores: ModelStores, consumer: string, after: bigint, limit: number): readonly OutboxEntry[] => {
  const cursor = cursorOf(stores, consumer)
  if (cursor === undefined) return []
  const from = (cursor > after ? cursor : after) + 1n
  return [...stores.outbox.getRange({ start: [offsetText(from)], end: [OFFSET_END], limit })].map(({ key, value }) => ({
    sequence: sequenceOf(key),
    ...decodeHints(value)
  }))
}

/** Entries after the consumer's cursor as a transaction sees both; undefined when it is not registered or these are more than `entriesMax`. */
export const unreadOutbox = (stores: ModelStores, transaction: Transaction, consumer: string, entriesMax: number): readonly OutboxEntry[] | undefined => {
  const cursor = stores.outboxCursors.get([consumer], { transaction })
  if (cursor === undefined) return undefined
  const found = [...stores.outbox.getRange({ start: [offsetText(BigInt(cursor) + 1n)], end: [OFFSET_END], limit: entriesMax + 1, transaction })]
  return found.length > entriesMax ? undefined : found.map(({ key, value }) => ({ sequence: sequenceOf(key), ...decodeHints(value) }))
}

/** Removes what every registered consumer is done with. Within a transaction. */
const trim = (stores: ModelStores): void => {
  let done: bigint | undefined
  for (const { value } of stores.outboxCursors.getRange()) {
    const cursor = BigInt(value)
    if (done === undefined || cursor < done) done = cursor
  }
  if (done === undefined) return
  const covered = [...stores.outbox.getKeys({ start: [offsetText(0n)], end: [offsetText(done + 1n)] })]
  for (const key of covered) stores.outbox.removeSync(key)
}

/** Moves a registered consumer's cursor forward. */
export const ackOutbox = (stores: ModelStores, consumer: string, upTo: bigint): void =>
  stores.root.transactionSync(() => {
    const cursor = cursorOf(stores, consumer)
    if (cursor === undefined || cursor >= upTo) return
    stores.outboxCursors.putSync([consumer], upTo.toString())
    trim(stores)
  })

/** Ends the registration of a consumer. */
export const forgetOutbox = (stores: ModelStores, consumer: string): void =>
  stores.root.transactionSync(() => {
    stores.outboxCursors.removeSync([consumer])
    trim(stores)
  })
