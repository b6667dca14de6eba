/** What one subscriber of a series was sent, and what was told since the last look for it. */
import { readHintKey } from "@tidemark/domain/ports/hintTopic"
import type { Told } from "./news.ts"
import type { Provenance } from "./openModel.ts"
import type { Resolution } from "./resolution.ts"
import type { SeriesGroup, SeriesPoint } from "./series.ts"
import type { PositionPart } from "./windowState.ts"
import type { Run } from "./windowRuns.ts"

/** What was told between two looks. */
export interface ToldWindows {
  /** Windows of the series that changed. */
  readonly runs: readonly Run[]
  /** Hints were lost: any window may have changed. */
  readonly lost: boolean
}

export class Follower {
  /** What the last message, or the subscriber's own answer, came from; undefined before it. */
  last: Provenance | undefined = undefined
  /** Whether the next message answers this position, and is due even without news. */
  since: readonly PositionPart[] | undefined = undefined
  private readonly resolution: Resolution
  private readonly range: Run
  /** Group → window start → revision and state as last sent. */
  private readonly sent = new Map<string, Map<number, string>>()
  /** Starts of windows within the range: at most as many as it has. */
  private hinted = new Set<number>()
  private lost = false

  /** `range`: the whole windows of the series. */
  constructor(resolution: Resolution, range: Run) {
    this.resolution = resolution
    this.range = range
  }

  hear({ notifications, overflowed }: Told): void {
    this.lost ||= overflowed
    for (const { key } of notifications) {
      const hint = readHintKey(key)
      if (hint?.resolution !== this.resolution.code || hint.windowStartMs < this.range.fromMs || hint.windowStartMs >= this.range.toMs) continue
      this.hinted.add(hint.windowStartMs)
    }
  }

  /** Hands over what was told, and forgets it. */
  takeTold(): ToldWindows {
    const { hinted, lost } = this
    this.hinted = new Set()
    this.lost = false
    return { runs: [...hinted].map((fromMs) => ({ fromMs, toMs: fromMs + this.resolution.sizeMs })), lost }
  }

  /** Takes back what could not be looked at. */
  owe({ runs, lost }: ToldWindows): void {
    for (const { fromMs } of runs) this.hinted.add(fromMs)
    this.lost ||= lost
  }

  /** Points held. */
  get pointCount(): number {
    let count = 0
    for (const windows of this.sent.values()) count += windows.size
    return count
  }

  /** Groups that points were sent of. */
  get groups(): ReadonlySet<string> {
    return new Set(this.sent.keys())
  }

  startOver(): void {
    this.sent.clear()
  }

  /** Notes what is sent; only what differs from what was sent before remains. */
  unsent(groups: readonly SeriesGroup[]): readonly SeriesGroup[] {
    return groups.flatMap((group) => {
      const value = group.key[0]?.value ?? ""
      const windows = this.sent.get(value) ?? new Map<number, string>()
      const isNew = ({ startMs, revision, state }: SeriesPoint): boolean => {
        const now = `${revision}:${state}`
        if (windows.get(startMs) === now) return false
        windows.set(startMs, now)
        return true
      }
      const points = group.points.filter(isNew)
      if (windows.size > 0) this.sent.set(value, windows)
      return points.length === 0 ? [] : [{ ...group, points }]
    })
  }
}
