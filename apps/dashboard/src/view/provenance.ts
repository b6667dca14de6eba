/** What a number on the page points at when somebody asks "why?". */
import { createContext, useContext } from "react"
import type { Dimension } from "../model/answer.ts"
import type { SeriesQuestion } from "../data/questions.ts"

export interface Subject {
  readonly title: string
  /** The number as the page shows it. */
  readonly shown: string
  readonly question: SeriesQuestion
  readonly measure: string
  /** Key of the windows behind the number; empty when all keys are merged. */
  readonly key: readonly Dimension[]
  /** The one window the number is about, Unix ms; undefined for the whole range. */
  readonly startMs?: number
}

/** Opens the proof behind a number. */
export const ProvenanceContext = createContext<(subject: Subject) => void>(() => undefined)

export const useProvenance = (): ((subject: Subject) => void) => useContext(ProvenanceContext)
