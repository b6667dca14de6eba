/** Resolutions of windows and the ranges they cut time into. */
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import type { ResolutionCode } from "@tidemark/domain/ports/ReadModelStore"
import { RESOLUTIONS, windowStart } from "@tidemark/domain/time/window"
import type { ResolutionName } from "@tidemark/domain/time/window"
import * as Effect from "effect/Effect"
import { BadArgumentError } from "./errors.ts"

export interface Resolution {
  readonly name: ResolutionName
  readonly code: ResolutionCode
  /** Length of its windows, ms. */
  readonly sizeMs: number
}

const [MINUTE, HOUR, DAY] = RESOLUTIONS

/** A run of whole windows of one resolution, [fromMs, toMs). */
export interface Segment {
  readonly resolution: Resolution
  readonly fromMs: number
  readonly toMs: number
}

/** The code rows have, which does not depend on the definition. */
export const resolutionCode = (name: ResolutionName): ResolutionCode => (name === "minute" ? MINUTE.code : name === "hour" ? HOUR.code : DAY.code)

/** "minute" names the definition's shortest windows, which are a minute long unless it says otherwise. */
export const resolutionOf = (name: ResolutionName, { window }: Pick<ProjectionDefinition, "window">): Resolution =>
  (name === "minute" ? { ...MINUTE, sizeMs: window.sizeMs } : name === "hour" ? HOUR : DAY)

/** The windows of `sizeMs` that [fromMs, toMs) touches, as a whole range. Fails on an empty or reversed one. */
export const alignedRange = (fromMs: number, toMs: number, sizeMs: number): Effect.Effect<{ readonly fromMs: number; readonly toMs: number }, BadArgumentError> =>
  fromMs < toMs
    ? Effect.succeed({ fromMs: windowStart(fromMs, sizeMs), toMs: windowStart(toMs - 1, sizeMs) + sizeMs })
    : Effect.fail(new BadArgumentError({ argument: "to", detail: "must be later than from" }))

/** The fewest windows that cover whole ones of `shortest` exactly: days inside, hours around them, the shortest at the ends. */
export const coveringSegments = (fromMs: number, toMs: number, shortest: Resolution): readonly Segment[] => {
  const segments: Segment[] = []
  const add = (resolution: Resolution, from: number, to: number) => {
    if (from < to) segments.push({ resolution, fromMs: from, toMs: to })
  }
  const inner = (from: number, to: number, sizeMs: number) => {
    const start = windowStart(from + sizeMs - 1, sizeMs)
    return { start, end: Math.max(start, windowStart(to, sizeMs)) }
  }
  const hours = inner(fromMs, toMs, HOUR.sizeMs)
  if (hours.start >= hours.end) {
    add(shortest, fromMs, toMs)
    return segments
  }
  add(shortest, fromMs, hours.start)
  const days = inner(hours.start, hours.end, DAY.sizeMs)
  if (days.start >= days.end) add(HOUR, hours.start, hours.end)
  else {
    add(HOUR, hours.start, days.start)
    add(DAY, days.start, days.end)
    add(HOUR, days.end, hours.end)
  }
  add(shortest, hours.end, toMs)
  return segments
}
