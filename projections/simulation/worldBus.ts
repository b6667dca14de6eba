/**
 * The bus as the checker hears it. Hints may be lost on their way and may come twice; what may not happen is that the
 * last change of a row, or the last move of a checkpoint, is never published. Rules: docs/semantics.md §7.
 */
import { checkpointTopic, checkpointVersion, hintKey, modelTopic } from "@tidemark/domain/ports/hintTopic"
import type { Notification } from "@tidemark/domain/ports/PubSub"
import type { ModelState } from "./memoryModelState.ts"

export class PublishedHints {
  private readonly seen = new Set<string>()
  /** Last version of each topic and key. */
  private readonly last = new Map<string, string>()

  record(topic: string, notifications: readonly Notification[]): void {
    for (const { key, version } of notifications) {
      this.seen.add(`${topic} ${key} ${version}`)
      this.last.set(`${topic} ${key}`, version)
    }
  }

  /** What is stored and was never published, or is still owed. */
  owed(state: ModelState): readonly string[] {
    const owed: string[] = []
    for (const { lane, row } of state.rows.values()) {
      const hint = `${modelTopic(row.tenantId, lane.projection)} ${hintKey(row)} ${row.revision}`
      if (!this.seen.has(hint)) owed.push(`never published: ${hint}, lane ${lane.lane}`)
    }
    for (const projection of state.pointers.keys()) {
      const position = [...state.checkpoints.values()].flatMap(({ lane, partitions }) => (lane.projection === projection ? partitions : []))
      const published = this.last.get(`${checkpointTopic(projection)} ${projection}`)
      if (published !== checkpointVersion(position)) owed.push(`${projection} stands at ${checkpointVersion(position)}, published was ${published ?? "nothing"}`)
    }
    if (state.outbox.size > 0) owed.push(`${state.outbox.size} entries rest in the outbox`)
    return owed
  }
}
