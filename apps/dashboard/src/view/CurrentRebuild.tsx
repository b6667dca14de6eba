/** The generation being built: its errors above everything, its phases, its progress, its parity, and what may be done to it. */
import { differencesOf, labelOf } from "../model/rebuild.ts"
import { formatDecimal } from "../model/format.ts"
import { BuildProgress } from "./BuildProgress.tsx"
import { Differences } from "./Differences.tsx"
import { GenerationFacts } from "./GenerationFacts.tsx"
import { ParityReport } from "./ParityReport.tsx"
import { PhaseTrack } from "./PhaseTrack.tsx"
import { RebuildActions } from "./RebuildActions.tsx"
import type { Api } from "../data/graphql.ts"
import type { Generation, Rebuild } from "../model/rebuild.ts"

export interface CurrentProps {
  readonly api: Api
  readonly admin: Api | undefined
  readonly rebuild: Rebuild
  /** As it is stored; undefined before it is made, and once it is gone. */
  readonly generation: Generation | undefined
  readonly nowMs: number
  readonly changed: (rebuild: Rebuild) => void
}

const Errors = ({ rebuild, generation }: Pick<CurrentProps, "rebuild" | "generation">) => (
  <>
    {rebuild.error === null ? null : <p className="failure" role="alert">{rebuild.error}</p>}
    {generation === undefined || generation.halt === null || rebuild.error?.includes(generation.halt) === true ? null : <p className="failure" role="alert">This generation has halted: {generation.halt}</p>}
    {rebuild.standbyHalt === null ? null : <p className="failure" role="alert">The generation on standby has halted ({rebuild.standbyHalt}): it is no way back.</p>}
    {generation === undefined || generation.deadLetters === "0" || generation.served ? null : <p className="failure"><span>{formatDecimal(generation.deadLetters)} {generation.deadLetters === "1" ? "event" : "events"} could not be folded and {generation.deadLetters === "1" ? "counts" : "count"} nowhere in this generation.</span></p>}
  </>
)

export const CurrentRebuild = ({ api, admin, rebuild, generation, nowMs, changed }: CurrentProps) => (
  <section className="generation green" aria-label={`Generation ${rebuild.generation ?? "–"}, ${labelOf(rebuild.status).toLowerCase()}`}>
    <h3>Generation {rebuild.generation ?? "–"} · {labelOf(rebuild.status).toLowerCase()}</h3>
    <p className="visually-hidden" role="status">Generation {rebuild.generation ?? "–"} of {rebuild.projection}: {labelOf(rebuild.status).toLowerCase()}</p>
    <p className="note">{rebuild.reason}</p>
    <Errors rebuild={rebuild} generation={generation} />
    <PhaseTrack rebuild={rebuild} nowMs={nowMs} />
    <BuildProgress rebuild={rebuild} />
    {generation === undefined || generation.served ? null : <dl className="facts fact-tiles"><GenerationFacts generation={generation} nowMs={nowMs} /></dl>}
    {rebuild.parity === null ? null : <ParityReport parity={rebuild.parity} />}
    {rebuild.parity === null || differencesOf(rebuild.parity) === 0n ? null : <Differences api={api} rebuild={rebuild} nowMs={nowMs} />}
    <RebuildActions admin={admin} rebuild={rebuild} nowMs={nowMs} changed={changed} />
  </section>
)
