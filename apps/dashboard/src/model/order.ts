/**
 * Which of two answers is newer, and how pushed changes join the answer already on screen.
 *
 * Order is (pointerVersion, revision, watermark): a slow query never overwrites a newer push. Windows are never
 * patched across generations. Pure.
 */
import type { PartitionOffset, Series, SeriesChange, SeriesGroup, SeriesPoint, WindowState } from "./answer.ts"

const compareText = (a: string | null, b: string | null): number => (a ?? "") < (b ?? "") ? -1 : (a ?? "") > (b ?? "") ? 1 : 0

/** Identity of a group among the groups of one series. */
export const groupId = (group: Pick<SeriesGroup, "key">): string =>
  JSON.stringify(group.key.map((dimension) => [dimension.name, dimension.value]).toSorted())

const isNewer = (candidate: SeriesPoint, watermark: string | null, current: SeriesPoint, currentWatermark: string | null): boolean => {
  const byRevision = BigInt(candidate.revision) - BigInt(current.revision)
  if (byRevision !== 0n) return byRevision > 0n
  return compareText(watermark, currentWatermark) >= 0
}

const mergePoints = (current: Series, incoming: Series, mine: readonly SeriesPoint[], theirs: readonly SeriesPoint[]): readonly SeriesPoint[] => {
  const byStart = new Map(mine.map((point) => [point.start, point]))
  for (const point of theirs) {
    const known = byStart.get(point.start)
    if (known === undefined || isNewer(point, incoming.watermark, known, current.watermark)) byStart.set(point.start, point)
  }
  return [...byStart.values()].toSorted((a, b) => compareText(a.start, b.start))
}

const mergePosition = (a: readonly PartitionOffset[], b: readonly PartitionOffset[]): readonly PartitionOffset[] => {
  const next = new Map(a.map((entry) => [entry.partition, BigInt(entry.offset)]))
  for (const entry of b) {
    const offset = BigInt(entry.offset)
    if (offset > (next.get(entry.partition) ?? -1n)) next.set(entry.partition, offset)
  }
  return [...next].toSorted(([x], [y]) => x - y).map(([partition, offset]) => ({ partition, offset: String(offset) }))
}

const withinRange = (series: Series, oldestStart: string): Series =>
  ({ ...series, groups: series.groups.map((group) => ({ ...group, points: group.points.filter((point) => point.start >= oldestStart) })) })

/**
 * The newer of two answers to one question, window by window. `oldestStart` (RFC 3339) drops windows that have left
 * the range. A higher pointerVersion replaces everything; a lower one is ignored.
 */
export const newest = (current: Series | undefined, incoming: Series, oldestStart = ""): Series => {
  if (current === undefined || incoming.pointerVersion > current.pointerVersion) return incoming
  if (incoming.pointerVersion < current.pointerVersion) return current
  const groups = new Map(current.groups.map((group) => [groupId(group), group]))
  for (const group of incoming.groups) {
    const id = groupId(group)
    groups.set(id, { key: group.key, points: mergePoints(current, incoming, groups.get(id)?.points ?? [], group.points) })
  }
  return withinRange({
    ...current,
    generation: incoming.generation,
    watermark: compareText(incoming.watermark, current.watermark) > 0 ? incoming.watermark : current.watermark,
    position: mergePosition(current.position, incoming.position),
    groups: [...groups.values()]
  }, oldestStart)
}

/** A whole answer: its groups are the only ones, whatever windows of theirs are known already. */
const replaced = (current: Series, { kind: _kind, ...whole }: SeriesChange, oldestStart: string): Series => {
  if (whole.pointerVersion < current.pointerVersion) return current
  const own = new Set(whole.groups.map(groupId))
  const known = whole.pointerVersion === current.pointerVersion ? current : undefined
  const merged = newest(known, whole, oldestStart)
  return withinRange({ ...merged, groups: merged.groups.filter((group) => own.has(groupId(group))) }, oldestStart)
}

/** `resync` when the change cannot be folded into what is on screen and the question has to be asked again. */
export const applyChange = (current: Series | undefined, change: SeriesChange, oldestStart = ""): Series | "resync" => {
  if (current === undefined) return "resync"
  if (change.kind === "RESYNC") return replaced(current, change, oldestStart)
  return change.pointerVersion > current.pointerVersion ? "resync" : newest(current, change, oldestStart)
}

/** The same answer, older than any other: whatever is answered next replaces it. */
export const outdated = (series: Series): Series => ({ ...series, pointerVersion: -1 })

/** State of a window at `watermark`: a provisional one becomes final (or revised) as soon as the watermark reaches its end. */
export const stateAt = (point: SeriesPoint, watermark: string | null): WindowState => {
  if (point.state !== "PROVISIONAL") return point.state
  if (watermark === null || Date.parse(watermark) < Date.parse(point.end)) return "PROVISIONAL"
  return point.corrections === "0" ? "FINAL" : "REVISED"
}

/** Display form of a position: the sum of its next offsets. */
export const positionTotal = (position: readonly PartitionOffset[]): bigint =>
  position.reduce((sum, entry) => sum + BigInt(entry.offset), 0n)
