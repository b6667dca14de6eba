/** What is stored for a lane against what the oracle says must be. Everything is compared: rows, ledgers, counters, clocks, digest. */
import type { LaneId, LateEntry, PartitionCheckpoint, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { laneKey, ledgerKey } from "./memoryModelState.ts"
import type { ModelState } from "./memoryModelState.ts"
import { oracleRowName } from "./oracle.ts"
import type { Oracle, OracleLate, OraclePartition, OracleRow } from "./oracle.ts"
import { oracleHash } from "./oracleHash.ts"

/** One difference: where, what is stored, what must be. */
export interface Difference {
  readonly at: string
  readonly stored: string
  readonly expected: string
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))
const hex = (bytes: Uint8Array): string => {
  let text = ""
  for (const byte of bytes) text += HEX[byte] ?? ""
  return text
}

/** A row in one line, without its revision. */
export const storedRowText = ({ tenantId, resolution, windowStartMs, keyId, key, events, lateEvents, backfillEvents, fingerprint, offsets, measures }: StoredRow): string =>
  [tenantId, resolution, windowStartMs, keyId, JSON.stringify(key), events, lateEvents, backfillEvents, fingerprint,
    offsets.map(({ partition, min, max }) => `${partition}:${min}-${max}`).join(), measures.map(hex).join()].join(" ")

/** The same line of a row as it must be. */
export const expectedRowText = ({ tenant, resolution, startMs, keyId, key, events, lateEvents, backfillEvents, fingerprint, offsets, measures }: OracleRow): string =>
  [tenant, resolution, startMs, keyId, JSON.stringify(key), events, lateEvents, backfillEvents, fingerprint,
    [...offsets].sort(([a], [b]) => a - b).map(([partition, { min, max }]) => `${partition}:${min}-${max}`).join(), measures.map((measure) => hex(measure.bytes())).join()].join(" ")

const storedLateText = (entry: LateEntry): string =>
  [entry.tenantId, entry.eventId, entry.eventType, entry.eventTimeMs, entry.windowStartMs, JSON.stringify(entry.key), entry.lateByMs, entry.outcome, sortedText(entry.contribution)].join(" ")
const expectedLateText = (entry: OracleLate): string =>
  [entry.tenant, entry.id, entry.type, entry.timeMs, entry.startMs, JSON.stringify(entry.key), entry.lateByMs, entry.outcome, sortedText(entry.contribution)].join(" ")
const sortedText = (fields: Readonly<Record<string, string>>): string => JSON.stringify(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)))

const finite = (ms: number): string => (Number.isFinite(ms) ? String(ms) : "null")
const clocksText = (tenants: ReadonlyMap<string, number>): string => JSON.stringify([...tenants].sort(([a], [b]) => (a < b ? -1 : 1)))
const countersText = (counters: object): string => Object.entries(counters).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `${name}=${String(value)}`).join()

const storedPrefixText = ({ nextOffset, lastRecordHash, receivedMaxMs, heartbeatMaxMs, tenantMaxMs, counters }: PartitionCheckpoint): string =>
  [nextOffset, lastRecordHash, receivedMaxMs ?? "null", heartbeatMaxMs ?? "null", clocksText(tenantMaxMs), countersText(counters)].join(" ")
const expectedPrefixText = ({ nextOffset, lastRecord, receivedMs, heartbeatMs, tenantMs, counters }: OraclePartition): string =>
  [nextOffset, nextOffset === 0n ? "" : oracleHash(lastRecord, 0), finite(receivedMs), finite(heartbeatMs), clocksText(tenantMs), countersText(counters)].join(" ")

/** Collects differences between two tables of texts. */
const compareTables = (what: string, stored: ReadonlyMap<string, string>, expected: ReadonlyMap<string, string>, found: Difference[]): void => {
  for (const [name, text] of expected) {
    const other = stored.get(name)
    if (other !== text) found.push({ at: `${what} ${name}`, stored: other ?? "nothing", expected: text })
  }
  for (const [name, text] of stored) if (!expected.has(name)) found.push({ at: `${what} ${name}`, stored: text, expected: "nothing" })
}

const sameLane = (a: LaneId, b: LaneId): boolean => a.lane === b.lane && a.projection === b.projection && a.generation === b.generation

const checkpointDifferences = (oracle: Oracle, state: ModelState, lane: LaneId, found: Difference[]): void => {
  const checkpoint = state.checkpoints.get(laneKey(lane))
  const stored = new Map(checkpoint?.partitions.map((partition) => [String(partition.partition), storedPrefixText(partition)]))
  compareTables("checkpoint of partition", stored, new Map([...oracle.partitions].map(([partition, prefix]) => [String(partition), expectedPrefixText(prefix)])), found)
}

const ledgerDifferences = (oracle: Oracle, state: ModelState, lane: LaneId, found: Difference[]): void => {
  const entriesOf = <A>(ledger: ReadonlyMap<string, { readonly lane: LaneId; readonly entry: A }>, text: (entry: A) => string): Map<string, string> => {
    const texts = new Map<string, string>()
    for (const [name, { lane: owner, entry }] of ledger) if (sameLane(owner, lane)) texts.set(name, text(entry))
    return texts
  }
  const expectedOf = <A>(entries: (prefix: OraclePartition) => ReadonlyMap<bigint, A>, text: (entry: A) => string): Map<string, string> => {
    const texts = new Map<string, string>()
    for (const [partition, prefix] of oracle.partitions) for (const [offset, entry] of entries(prefix)) texts.set(ledgerKey(lane, { partition, offset }), text(entry))
    return texts
  }
  compareTables("late", entriesOf(state.late, storedLateText), expectedOf(({ late }) => late, expectedLateText), found)
  compareTables("duplicate", entriesOf(state.duplicates, ({ tenantId }) => tenantId), expectedOf(({ duplicates }) => duplicates, (tenant) => tenant), found)
  compareTables("dead letter", entriesOf(state.deadLetters, ({ tenantId, code, pointer }) => `${tenantId} ${code} ${pointer}`),
    expectedOf(({ deadLetters }) => deadLetters, ({ tenant, code, pointer }) => `${tenant} ${code} ${pointer}`), found)
}

const encoder = new TextEncoder()

/** Appends to one buffer; an integer is so many bytes, big endian. */
class Bytes {
  private readonly view = new DataView(new ArrayBuffer(1 << 16))
  private length = 0

  integer(value: bigint | number, width: 1 | 2 | 4 | 8): void {
    if (width === 8) this.view.setBigUint64(this.length, BigInt.asUintN(64, BigInt(value)))
    else if (width === 4) this.view.setUint32(this.length, Number(value))
    else if (width === 2) this.view.setUint16(this.length, Number(value))
    else this.view.setUint8(this.length, Number(value))
    this.length += width
  }

  counted(content: Uint8Array): void {
    this.integer(content.length, 4)
    new Uint8Array(this.view.buffer).set(content, this.length)
    this.length += content.length
  }

  text(value: string): void {
    this.counted(encoder.encode(value))
  }

  /** What was appended since the last call; holds until the next append. */
  take(): Uint8Array {
    const taken = new Uint8Array(this.view.buffer, 0, this.length)
    this.length = 0
    return taken
  }
}

const rowBytes = new Bytes()

/** The bytes a row is hashed over, written down from their description. */
const canonicalRow = ({ tenant, resolution, startMs, key, events, lateEvents, backfillEvents, fingerprint, offsets, measures }: OracleRow): Uint8Array => {
  rowBytes.text(tenant)
  rowBytes.integer(resolution, 1)
  rowBytes.integer(startMs, 8)
  rowBytes.integer(key.length, 2)
  for (const part of key) rowBytes.text(part)
  for (const count of [events, lateEvents, backfillEvents, fingerprint]) rowBytes.integer(count, 8)
  rowBytes.integer(offsets.size, 2)
  for (const [partition, { min, max }] of [...offsets].sort(([a], [b]) => a - b)) {
    rowBytes.integer(partition, 4)
    rowBytes.integer(min, 8)
    rowBytes.integer(max, 8)
  }
  rowBytes.integer(measures.length, 2)
  for (const measure of measures) rowBytes.counted(measure.bytes())
  return rowBytes.take()
}

/** One partition and offset of a lane's ledgers, stored and expected. */
const ledgerDifferencesAt = (oracle: Oracle, state: ModelState, lane: LaneId, place: LedgerPlace, found: Difference[]): void => {
  const name = ledgerKey(lane, place)
  const compare = (what: string, stored: string | undefined, expected: string | undefined): void => {
    if (stored !== expected) found.push({ at: `${what} ${name}`, stored: stored ?? "nothing", expected: expected ?? "nothing" })
  }
  const prefix = oracle.partitions.get(place.partition)
  const [late, expectedLate] = [state.late.get(name), prefix?.late.get(place.offset)]
  compare("late", late && storedLateText(late.entry), expectedLate && expectedLateText(expectedLate))
  compare("duplicate", state.duplicates.get(name)?.entry.tenantId, prefix?.duplicates.get(place.offset))
  const [dead, expectedDead] = [state.deadLetters.get(name)?.entry, prefix?.deadLetters.get(place.offset)]
  compare("dead letter", dead && `${dead.tenantId} ${dead.code} ${dead.pointer}`, expectedDead && `${expectedDead.tenant} ${expectedDead.code} ${expectedDead.pointer}`)
}

const SUM_BYTES = 16

/** 256 sums mod 2^128 of row hashes, by the first two hex characters of the key id; kept as the rows change. */
export class ExpectedDigest {
  private readonly sums = Array.from({ length: 256 }, () => 0n)
  private readonly bytes = new Uint8Array(256 * SUM_BYTES)
  private readonly counted = new Map<string, bigint>()

  /** Counts the row as it is now in the oracle; gone when it is no longer there. */
  count(oracle: Oracle, name: string, { keyId }: OracleRow): void {
    const row = oracle.rows.get(name)
    const hash = row === undefined ? 0n : BigInt(`0x${oracleHash(canonicalRow(row), 0)}`)
    const bucket = Number.parseInt(keyId.slice(0, 2), 16)
    const sum = BigInt.asUintN(128, (this.sums[bucket] ?? 0n) - (this.counted.get(name) ?? 0n) + hash)
    this.sums[bucket] = sum
    this.counted.set(name, hash)
    let rest = sum
    for (let at = SUM_BYTES - 1; at >= 0; at--, rest >>= 8n) this.bytes[bucket * SUM_BYTES + at] = Number(rest & 0xffn)
  }

  text(): string {
    return hex(this.bytes)
  }

  difference(state: ModelState, lane: LaneId): readonly Difference[] {
    const digest = state.checkpoints.get(laneKey(lane))?.digest ?? new Uint8Array()
    const isSame = digest.length === this.bytes.length && digest.every((byte, at) => byte === this.bytes[at])
    return isSame ? [] : [{ at: "digest", stored: hex(digest), expected: hex(this.bytes) }]
  }
}

/** Digest, in hex, of a whole model whose partitions are all in one oracle: what every number of lanes must add up to. */
export const expectedModelDigest = (oracle: Oracle): string => {
  const fromMs = oracle.shownFrom()
  const digest = new ExpectedDigest()
  for (const [name, row] of oracle.rows) if (row.startMs >= fromMs) digest.count(oracle, name, row)
  return digest.text()
}

const rowNameOf = ({ resolution, windowStartMs, keyId }: StoredRow): string => oracleRowName(resolution, windowStartMs, keyId)

export interface LedgerPlace {
  readonly partition: number
  readonly offset: bigint
}

/** What a commit wrote or had to write: names of rows, places in the ledgers. */
export interface Touched {
  readonly rows: ReadonlySet<string>
  readonly places: readonly LedgerPlace[]
}

/** Compares the checkpoint, and what was touched: what a commit wrote, and what it had to write. */
export const touchedDifferences = (oracle: Oracle, state: ModelState, lane: LaneId, touched: Touched, storedRow: (name: string) => StoredRow | undefined): readonly Difference[] => {
  const found: Difference[] = []
  checkpointDifferences(oracle, state, lane, found)
  for (const name of touched.rows) {
    const row = oracle.rows.get(name)
    const stored = storedRow(name)
    const expectedText = row === undefined ? "nothing" : expectedRowText(row)
    const storedText = stored === undefined ? "nothing" : storedRowText(stored)
    if (storedText !== expectedText) found.push({ at: `row ${name}`, stored: storedText, expected: expectedText })
  }
  for (const place of touched.places) ledgerDifferencesAt(oracle, state, lane, place, found)
  return found
}

/** The digest of all rows of the oracle. */
export const wholeDigest = (oracle: Oracle): ExpectedDigest => {
  const digest = new ExpectedDigest()
  for (const [name, row] of oracle.rows) digest.count(oracle, name, row)
  return digest
}

/** Compares everything that is stored for the lane. */
export const laneDifferences = (oracle: Oracle, state: ModelState, lane: LaneId, digest: ExpectedDigest = wholeDigest(oracle)): readonly Difference[] => {
  const found: Difference[] = []
  checkpointDifferences(oracle, state, lane, found)
  const rows = new Map<string, string>()
  for (const { lane: owner, row } of state.rows.values()) if (sameLane(owner, lane)) rows.set(rowNameOf(row), storedRowText(row))
  compareTables("row", rows, new Map([...oracle.rows].map(([name, row]) => [name, expectedRowText(row)])), found)
  ledgerDifferences(oracle, state, lane, found)
  found.push(...digest.difference(state, lane))
  return found
}
