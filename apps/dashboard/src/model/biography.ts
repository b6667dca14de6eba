/**
 * The life of one window: what was known of it, and when. Pure; times are Unix ms UTC.
 */
import type { Measure, WindowState } from "./answer.ts"

/** An event behind the window, as far as it matters to when it became known. */
export interface KnownEvent {
  readonly receivedAtMs: number
  /** Counted though its minute had closed, or imported. */
  readonly corrects: boolean
  /** It was held and counted by hand, at a time that its receipt does not tell. */
  readonly byHand: boolean
}

/** The window as it was known at a moment; `figures` null: not at all. */
export interface Sample {
  /** Undefined: now. */
  readonly atMs: number | undefined
  readonly figures: { readonly state: WindowState; readonly events: string; readonly corrections: string; readonly measures: readonly Measure[] } | null
}

/** One step of its life. */
export interface Chapter extends Sample {
  readonly figures: NonNullable<Sample["figures"]>
  readonly title: "opened" | "grew" | "final" | "revised" | "changed"
}

/** Items spread evenly over a list, its first and last among them. */
const spread = <A>(items: readonly A[], most: number): readonly A[] =>
  items.length <= most ? items : Array.from({ length: most }, (_, at) => items[Math.round((at * (items.length - 1)) / (most - 1))]).flatMap((item) => (item === undefined ? [] : [item]))

/**
 * Moments worth asking about, oldest first, at most `most`: the receipt of its first and last event, of those that corrected
 * it, and of others in between.
 */
export const momentsOf = (events: readonly KnownEvent[], most: number): readonly number[] => {
  const times = (chosen: readonly KnownEvent[]): readonly number[] => [...new Set(chosen.map(({ receivedAtMs }) => receivedAtMs))].sort((a, b) => a - b)
  const known = events.filter(({ byHand }) => !byHand)
  const corrections = spread(times(known.filter(({ corrects }) => corrects)), Math.floor(most / 2))
  const others = spread(times(known.filter(({ corrects }) => !corrects)), Math.max(2, most - corrections.length))
  return [...new Set([...corrections, ...others])].sort((a, b) => a - b).slice(-most)
}

const titleOf = (figures: Chapter["figures"], before: Chapter["figures"] | undefined): Chapter["title"] => {
  if (before === undefined) return "opened"
  if (figures.state === "REVISED" && (before.state !== "REVISED" || figures.corrections !== before.corrections)) return "revised"
  if (figures.state === "FINAL" && before.state === "PROVISIONAL") return "final"
  return BigInt(figures.events) > BigInt(before.events) ? "grew" : "changed"
}

/** Steps of its life, oldest first; what is the same as before is none. */
export const chaptersOf = (samples: readonly Sample[]): readonly Chapter[] => {
  const chapters: Chapter[] = []
  for (const { atMs, figures } of samples) {
    const before = chapters.at(-1)?.figures
    if (figures === null || (before !== undefined && before.events === figures.events && before.state === figures.state && before.corrections === figures.corrections)) continue
    chapters.push({ atMs, figures, title: titleOf(figures, before) })
  }
  return chapters
}
