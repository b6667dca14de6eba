/**
 * Which of the lanes that a group gave may be used now, by when the group was last heard.
 *
 * Without a word from the group for a session, or after a pause as long, the lanes may be somebody else's: none is
 * held. They are held again when the group says once more that we are in it: by an answer to a heartbeat sent after
 * they were dropped, or by giving lanes anew.
 */

/** The longest that a group may take to share its lanes anew, ms. */
export const REBALANCE_MS_MAX = 30_000

export interface LaneHoldingOptions {
  /** The group takes the lanes of a member that says nothing for so long. */
  readonly sessionMs: number
  /** Monotone. */
  readonly nowMs: () => number
  readonly onHeld: (lanes: readonly number[]) => void
}

export class LaneHolding {
  private given: readonly number[] = []
  private holding: readonly number[] = []
  private heardMs: number
  /** Asked to join and not answered yet: the coordinator waits for all others, and hears of us by that. */
  private joining = false
  private beatsSinceDrop = 0

  constructor(private readonly options: LaneHoldingOptions) {
    this.heardMs = options.nowMs()
  }

  get held(): readonly number[] {
    return this.holding
  }

  /** The group gave these lanes, and no others. */
  give(lanes: readonly number[]): void {
    this.joining = false
    this.given = lanes
    this.heardMs = this.options.nowMs()
    this.hold(lanes)
  }

  /** The group shares its lanes anew: those held stay ours until it has. */
  rejoin(): void {
    this.joining = true
    this.heardMs = this.options.nowMs()
  }

  /** The group answered a heartbeat, one of which is under way at a time: we are in it with what it gave last. */
  beat(): void {
    this.heardMs = this.options.nowMs()
    if (this.joining || this.holding.length > 0 || this.given.length === 0) return
    this.beatsSinceDrop += 1
    // The first answer may have lain unread since before the drop; the second is to a question asked after it.
    if (this.beatsSinceDrop > 1) this.hold(this.given)
  }

  /** To be called often: drops the lanes when the group was not heard for too long. */
  look(): void {
    const silentMsMax = this.joining ? REBALANCE_MS_MAX : this.options.sessionMs
    if (this.holding.length === 0 || this.options.nowMs() - this.heardMs <= silentMsMax) return
    this.beatsSinceDrop = 0
    this.hold([])
  }

  private hold(lanes: readonly number[]): void {
    this.holding = lanes
    this.options.onHeld(lanes)
  }
}
