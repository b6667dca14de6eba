/** The log's hash seed, for figures and fingerprints. */
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"

export const hashSeed: Effect.Effect<number, never, EventLog> = Effect.map(EventLog, ({ identity }) => hashSeedOf(identity.logId))
