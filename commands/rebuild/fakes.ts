/** What specifications of rebuilds run on. */
import type { ReadSnapshot } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"

/** A snapshot in which nothing is stored. */
export const emptySnapshot: ReadSnapshot = {
  pointer: () => Effect.succeed(undefined), pointers: Effect.succeed([]), generation: () => Effect.succeed(undefined), generations: () => Effect.succeed([]), following: Effect.succeed([]),
  checkpoints: () => Effect.succeed([]), scan: () => Effect.void, partials: (_projection, _generation, keys) => Effect.succeed(keys.map(() => [])), windows: () => Effect.succeed([]),
  late: () => Effect.succeed([]), deadLetters: () => Effect.succeed([]), lateIn: () => Effect.succeed([]), duplicatesIn: () => Effect.succeed([]), deadLettersIn: () => Effect.succeed([]),
  keyCounts: () => Effect.void, halts: Effect.succeed([]), unread: () => Effect.succeed([]), staleViews: Effect.succeed([])
}
