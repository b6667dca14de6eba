/** What one subscriber of a series was sent, and what was told since the last look for it. */
import { AFTER_KEY, readHintKey, readVersion } from "@tidemark/domain/ports/hintTopic"
import type { Notification } from "@tidemark/domain/ports/PubSub"
import type { ResolutionCode } from "@tidemark/domain/ports/ReadModelStore"
import { BUCKETS_MAX } from "./limits.ts"
import type { Told } from "./news.ts"
import type { Provenance } from "./openModel.ts"
import type { SeriesGroup, SeriesPoint } from "./series.ts"
import type { PositionPart } from "./windowState.ts"
import type { Run } from "./windowRuns.ts"

/** Windows told of between two looks that are remembered one by one. */
const HINTED_MAX = 2 * BUCKETS_MAX

const isIn = ({ fromMs, toMs }: Run, startMs: number): boolean => startMs >= fromMs && startMs < toMs

/** What was told between two looks. */
export interface ToldWindows {
  /** Starts of windows that changed; some may lie beside the series. */
  readonly starts: readonly number[]
  /** Hints were lost: any window may have changed. */
  readonly lost: boolean
  /** The hints of all folded up to this sum of next offsets are among what was handed over so far. */
  readonly covered: bigint
}

/** What is followed. */
export interface FollowedSeries {
  readonly resolution: ResolutionCode
  /** All windows that start in it may be its own; which ones are depends on the definition that is served. */
  readonly within: Run
  /** Topics of its model's hints and of its projection's checkpoints. */
  readonly hintsTopic: string
  readonly noticesTopic: string
}

export class Follower {
  /** What the last message, or the subscriber's own answer, came from; undefined before it. */
  last: Provenance | undefined = undefined
  /** Whether the next message answers this position, and is due even without news. */
  since: readonly PositionPart[] | undefined = undefined
  /** The series' own windows, at the last look. */
  range: Run
  private readonly series: FollowedSeries
  /** Group → window start → revision and state as last sent. */
  private readonly sent = new Map<string, Map<number, string>>()
  /** Starts of windows; at most `HINTED_MAX`. */
  private hinted = new Set<number>()
  /** One of them is the series' own. */
  private isHit = false
  private lost = false
  /** Sum of next offsets up to which all hints were published, by the last notice; and by the last one before the last hand-over. */
  private readonly covered = { noticed: -1n, before: -1n }
  /** Everything up to here was told. */
  private toldTo: readonly PositionPart[] = []
  /** The first position looked at since `toldTo`. */
  private lookedAt: readonly PositionPart[] | undefined = undefined
  /** The highest version of a hint that was heard; undefined before the first. */
  private heardTo: bigint | undefined = undefined

  constructor(series: FollowedSeries) {
    this.series = series
    this.range = series.within
  }

  /** Answers whether windows of the series changed, now or since they were told of. */
  hear({ topic, notifications, overflowed }: Told): boolean {
    this.lost ||= overflowed
    if (topic === this.series.noticesTopic) for (const { version } of notifications) this.hearNotice(version)
    if (topic === this.series.hintsTopic) for (const notification of notifications) this.hearHint(notification)
    return this.lost || this.isHit
  }

  private hearNotice(text: string): void {
    const version = readVersion(text)
    if (version !== undefined && version > this.covered.noticed) this.covered.noticed = version
  }

  /**
   * A bus says when it knows that it lost something. What it lost without knowing shows in the next publication, which
   * names the one before it; and where none follows, in the windows themselves once they turn final and are read again.
   */
  private hearHint({ key, version: text }: Notification): void {
    const { resolution, within } = this.series
    const version = readVersion(text)
    if (key === AFTER_KEY || version === undefined) {
      this.lost ||= version === undefined || (this.heardTo !== undefined && version > this.heardTo)
      return
    }
    if (this.heardTo === undefined || version > this.heardTo) this.heardTo = version
    const hint = readHintKey(key)
    if (hint?.resolution !== resolution || !isIn(within, hint.windowStartMs)) return
    this.hinted.add(hint.windowStartMs)
    this.isHit ||= isIn(this.range, hint.windowStartMs)
    if (this.hinted.size <= HINTED_MAX) return
    this.lost = true
    this.hinted.clear()
  }

  /** Hands over what was told, and forgets it. */
  takeTold(): ToldWindows {
    const { hinted, lost } = this
    this.hinted = new Set()
    this.isHit = false
    this.lost = false
    // The notice that came since may have overtaken hints that were published before it, on the way from two topics.
    const covered = this.covered.before
    this.covered.before = this.covered.noticed
    return { starts: [...hinted], lost, covered }
  }

  /** Takes back what could not be looked at. */
  owe({ starts, lost }: Pick<ToldWindows, "starts" | "lost">): void {
    for (const startMs of starts) this.hinted.add(startMs)
    this.isHit ||= starts.some((startMs) => isIn(this.range, startMs))
    this.lost ||= lost
  }

  /** The whole range was read at this position. */
  readAll(position: readonly PositionPart[]): void {
    this.toldTo = position
    this.lookedAt = undefined
  }

  /**
   * What was told was read at this position; answers the one up to which everything was, which a subscriber may continue
   * from: hints of the last commits before `position` may still be on their way. Positions of one generation are in one
   * order, so their sums are too.
   */
  readTold(position: readonly PositionPart[], covered: bigint): readonly PositionPart[] {
    const isCovered = (one: readonly PositionPart[]): boolean => one.reduce((sum, { nextOffset }) => sum + nextOffset, 0n) <= covered
    const earlier = this.lookedAt ?? position
    if (isCovered(earlier)) this.toldTo = isCovered(position) ? position : earlier
    this.lookedAt = isCovered(position) ? undefined : isCovered(earlier) ? position : earlier
    return this.toldTo
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
