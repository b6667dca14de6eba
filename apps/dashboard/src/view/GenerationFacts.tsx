/** What is known of one generation: its definition, where it stands, what it holds and takes. */
import { formatBytes, formatDecimal, formatMoment } from "../model/format.ts"
import type { ReactNode } from "react"
import type { PartitionOffset } from "../model/answer.ts"
import type { Generation } from "../model/rebuild.ts"

/** Where a generation stands, in all its partitions. */
export const placeText = (position: readonly PartitionOffset[]): string => `#${formatDecimal(String(position.reduce((sum, { offset }) => sum + BigInt(offset), 0n)))}`

const measuresText = ({ changedMeasures, missingMeasures }: Generation): string =>
  [...changedMeasures.map((name) => `+${name}`), ...missingMeasures.map((name) => `−${name}`)].join(" ")

const behindText = (lagEvents: string): string => (lagEvents === "0" ? "level with the log" : `${formatDecimal(lagEvents)} ${lagEvents === "1" ? "record" : "records"} behind the log`)

interface FactProps {
  readonly name: string
  readonly figure: ReactNode
  readonly note: string
}

export const Fact = ({ name, figure, note }: FactProps) => <div><dt>{name}</dt><dd>{figure}<small>{note}</small></dd></div>

export const GenerationFacts = ({ generation, nowMs }: { readonly generation: Generation; readonly nowMs: number }) => {
  const { definitionHash, version, position, lagEvents, deadLetters, createdAt, size, served } = generation
  const measures = measuresText(generation)
  return (
    <>
      <Fact name="Definition" figure={<code>{definitionHash.slice(0, 12)}</code>} note={`${version === null ? "not readable by this version" : `version ${version}`}${measures === "" ? "" : ` · measures ${measures}`}`} />
      <Fact name="Position" figure={placeText(position)} note={behindText(lagEvents)} />
      <Fact name="Disk" figure={size === null ? "–" : formatBytes(Number(size.bytes))} note={`${size === null ? "not measured" : `measured · ${formatDecimal(size.rows)} rows of minute, hour and day`} · since ${formatMoment(Date.parse(createdAt), nowMs)} UTC`} />
      <Fact name="Dead letters" figure={formatDecimal(deadLetters)} note={deadLetters === "0" ? "every event could be folded" : "events that could not be folded"} />
      <Fact name="Effects" figure={served ? "from this generation" : "suppressed"} note={served ? "what is sent to others comes from here only" : "nothing is sent while another one serves"} />
    </>
  )
}
