/** The journey of an event in the schema's shape. */
import type { EventJourney as Journey, EventWindow as Made } from "@tidemark/queries/event"
import type { EventPlace as Place } from "@tidemark/queries/eventPlaces"
import type { EventJourney, EventPlace, EventWindow } from "../schema/log.ts"
import { EventOutcome, Resolution, TimeFlag } from "../schema/scalars.ts"
import { eventShape, stateOf } from "./shapes.ts"

const RESOLUTIONS = { minute: Resolution.MINUTE, hour: Resolution.HOUR, day: Resolution.DAY } as const
const TIME_FLAGS = { corrected: TimeFlag.CORRECTED, clamped: TimeFlag.CLAMPED } as const

const placeShape = ({ resolution, startMs, endMs, state, events, revision }: Place): EventPlace => ({
  resolution: RESOLUTIONS[resolution], start: startMs, end: endMs, state: state === null ? null : stateOf(state), events: events.toString(), revision: revision.toString()
})

const windowShape = ({ startMs, endMs, outcome, state, key, places, contribution, release, ...rest }: Made): EventWindow => ({
  ...rest,
  outcome: EventOutcome[outcome],
  start: startMs,
  end: endMs,
  state: state === null ? null : stateOf(state),
  key: [...key],
  places: places.map(placeShape),
  contribution: [...contribution],
  release: release === null ? null : { offset: release.offset.toString(), at: release.atMs, actor: release.actor, reason: release.reason }
})

export const journeyShape = (journey: Journey): EventJourney => {
  const { partition, offset, event: { receivedAtMs, originalTimeMs, timeFlag, source, backfill, schemaVersion, partitionKey } } = journey
  return {
    event: eventShape(journey),
    received: { at: receivedAtMs, originalTime: originalTimeMs ?? null, timeFlag: timeFlag === undefined ? null : TIME_FLAGS[timeFlag], source, backfill: backfill ?? null },
    validated: { checked: schemaVersion > 0, schemaVersion },
    appended: { partition, offset: offset.toString(), partitionKey },
    windows: journey.windows.map(windowShape),
    repetitions: journey.repetitions.map(eventShape),
    repetitionsTruncated: journey.repetitionsTruncated
  }
}
