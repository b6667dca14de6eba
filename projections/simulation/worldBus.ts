/**
 * The bus as the checker hears it. Hints may be lost on their way and may come twice; what may not happen is that the
 * last change of a row, or the last move of a checkpoint, is never published. Rules: docs/semantics.md §7.
 */
import { checkpointTopic, checkpointVersion, hintKey, hintVersion, modelTopic } from "@tidemark/domain/ports/hintTopic"
import type { Notification } from "@tidemark/domain/ports/PubSub"
import type { LaneCommit } from "@tidemark/domain/ports/ReadModelStore"
import { BUS_CONSUMER } from "../runtime/outboxDrain.ts"
import type { ModelState } from "./memoryModelState.ts"

export class PublishedHints {
  private readonly seen = new Set<string>()
  /** Last version of each topic and key. */
  private readonly last = new Map<string, string>()
  /** Outbox sequence of the last commit that changed a window, by topic and key. */
  private readonly changed = new Map<string, bigint>()

  /** The store has just taken these commits; `sequence`: the last outbox number it gave out. */
  committed(commits: readonly LaneCommit[], sequence: bigint): void {
    let at = sequence
    for (const { lane, hints } of commits.toReversed()) {
      if (hints.length === 0) continue
      for (const hint of hints) this.note(`${modelTopic(hint.tenantId, lane.projection)} ${hintKey(hint)}`, at)
      at -= 1n
    }
  }

  private note(window: string, sequence: bigint): void {
    const before = this.changed.get(window)
    if (before === undefined || before < sequence) this.changed.set(window, sequence)
  }

  record(topic: string, notifications: readonly Notification[]): void {
    for (const { key, version } of notifications) {
      this.seen.add(`${topic} ${key} ${version}`)
      this.last.set(`${topic} ${key}`, version)
    }
  }

  /** What is stored and was never published, or is still owed. */
  owed(state: ModelState): readonly string[] {
    const owed: string[] = []
    for (const [window, sequence] of this.changed) {
      const hint = `${window} ${hintVersion(sequence)}`
      if (!this.seen.has(hint)) owed.push(`never published: ${hint}`)
    }
    for (const { projection, generation } of state.pointers.values()) {
      const position = [...state.checkpoints.values()].flatMap(({ lane, partitions }) => (lane.projection === projection && lane.generation === generation ? partitions : []))
      const published = this.last.get(`${checkpointTopic(projection)} ${projection}`)
      if (published !== checkpointVersion(position)) owed.push(`${projection} stands at ${checkpointVersion(position)}, published was ${published ?? "nothing"}`)
    }
    const rest = state.outboxCursors.size > 1 ? [...state.outbox.keys()].filter((sequence) => sequence > (state.outboxCursors.get(BUS_CONSUMER) ?? 0n)) : [...state.outbox.keys()]
    if (rest.length > 0) owed.push(`${rest.length} entries rest in the outbox`)
    return owed
  }
}
