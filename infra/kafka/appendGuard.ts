/**
 * Appends answer for one log: what another topic of the same name takes must never be acknowledged as stored.
 *
 * Kafka's producers name a topic, not its id, and a topic that was made anew takes their records with any sequence
 * number. So nothing is acknowledged on a look at the topic older than `LOOK_EVERY_MS`, nor at an offset that the log
 * has passed already. Once the log is lost, it stays lost for this process.
 */
import { LogIdentityError } from "@tidemark/domain/ports/EventLog"
import type { TopicBrokers } from "./topicBrokers.ts"

const LOOK_EVERY_MS = 1_000

export class AppendGuard {
  private lost: LogIdentityError | undefined
  /** When the latest look that found the log began; never, before the first one. */
  private lookedMs = Number.NEGATIVE_INFINITY
  private looking: Promise<void> | undefined

  /** `ends`: by partition, one past the last offset the log is known to have. `brokers` are pinned to the log. */
  constructor(private readonly brokers: TopicBrokers, private readonly logId: string, private readonly ends: bigint[]) {}

  /** The next `confirm` looks at the topic, however recent the last look is. */
  doubt(): void {
    this.lookedMs = Number.NEGATIVE_INFINITY
  }

  /** Throws `LogIdentityError` when the topic is no longer the log, anything else when that cannot be told now. */
  async confirm(): Promise<void> {
    if (this.lost !== undefined) throw this.lost
    if (performance.now() - this.lookedMs <= LOOK_EVERY_MS) return
    await (this.looking ??= this.look().finally(() => (this.looking = undefined)))
  }

  /** Records were stored from `baseOffset` on. Throws `LogIdentityError` when the log was longer than that before. */
  stored(partition: number, baseOffset: bigint, records: number): void {
    const end = this.ends[partition] ?? 0n
    if (baseOffset < end) {
      throw this.lose(new LogIdentityError({ logId: this.logId, detail: `partition ${partition} of topic ${this.brokers.topic} took records at offset ${baseOffset}, and the log reached ${end} before: it is another log, or it lost records` }))
    }
    this.ends[partition] = baseOffset + BigInt(records)
  }

  private async look(): Promise<void> {
    const beganMs = performance.now()
    this.brokers.forget()
    try {
      await this.brokers.describe()
      this.lookedMs = beganMs
    } catch (error) {
      throw error instanceof LogIdentityError ? this.lose(error) : error
    }
  }

  private lose(error: LogIdentityError): LogIdentityError {
    this.lost ??= error
    return this.lost
  }
}
