/** The other axis of the page: not when things happened, but what was known when. A slider over the range that is shown. */
import { useId, useState } from "react"
import { builtWithin, momentText } from "../model/comparison.ts"
import { formatTick } from "../model/format.ts"
import { RANGES, spanAt, ticksOf } from "../model/range.ts"
import { Sized } from "./Sized.tsx"
import type { Built } from "../model/comparison.ts"
import type { RangeName, Span } from "../model/range.ts"

export interface KnownAtProps {
  readonly range: RangeName
  /** Unix ms; undefined: now. */
  readonly asOfMs: number | undefined
  readonly pinMs: number | undefined
  readonly nowMs: number
  /** Generations of the projection behind the main chart. */
  readonly built: readonly Built[]
  readonly go: (asOfMs: number | undefined) => void
}

/** What the slider covers: the range up to now, and the moments that are shown. */
export const coverOf = (range: RangeName, nowMs: number, moments: readonly (number | undefined)[]): Span => {
  const { fromMs } = spanAt(RANGES[range], nowMs)
  return { fromMs: Math.min(fromMs, ...moments.filter((moment) => moment !== undefined)), toMs: nowMs }
}

export const KnownAt = ({ range, asOfMs, pinMs, nowMs, built, go }: KnownAtProps) => {
  const id = useId()
  const [draggedMs, drag] = useState<number>()
  const spec = RANGES[range]
  const span = coverOf(range, nowMs, [asOfMs, pinMs])
  const shownMs = draggedMs ?? asOfMs
  const share = (atMs: number): string => `${((atMs - span.fromMs) / (span.toMs - span.fromMs)) * 100}%`
  const begun = builtWithin(built, span.fromMs, span.toMs, nowMs)
  const release = (): void => {
    if (draggedMs === undefined) return
    drag(undefined)
    go(draggedMs >= nowMs - spec.stepMs / 2 ? undefined : draggedMs)
  }
  return (
    <div className="known-at">
      <label htmlFor={id} className="axis-name"><strong>Known at</strong>, UTC: {momentText(shownMs, nowMs)}</label>
      <div className="slider">
        {begun.map(({ generation, atMs, text }) => <span key={generation} className="built-mark" style={{ left: share(atMs) }} title={text} aria-hidden="true" />)}
        {pinMs === undefined ? null : <span className="pin-mark" style={{ left: share(pinMs) }} aria-hidden="true">A</span>}
        <input id={id} type="range" min={span.fromMs} max={span.toMs} step={1_000} value={shownMs ?? nowMs} aria-valuetext={momentText(shownMs, nowMs)} onChange={(event) => drag(Number(event.target.value))} onKeyDown={(event) => {
          // Arrow keys move by a window: a second of the whole range would be no visible step.
          const by = { ArrowLeft: -spec.stepMs, ArrowDown: -spec.stepMs, ArrowRight: spec.stepMs, ArrowUp: spec.stepMs }[event.key]
          if (by === undefined) return
          event.preventDefault()
          drag(Math.max(span.fromMs, Math.min(nowMs, (shownMs ?? nowMs) + by)))
        }} onPointerUp={release} onKeyUp={release} onBlur={release} />
        <div className="slider-ticks" aria-hidden="true"><Sized>{({ width }) => <>{ticksOf(spec, span, width).map((tick) => <span key={tick} style={{ left: share(tick) }}>{formatTick(tick, spec.tickMs)}</span>)}</>}</Sized></div>
      </div>
      {begun.length === 0 ? null : <p className="note built-note">{begun.map(({ text }) => text).join(" · ")}</p>}
    </div>
  )
}
