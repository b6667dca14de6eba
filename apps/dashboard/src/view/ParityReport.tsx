/** What the comparison of both generations found, or why none could be made. */
import { formatDecimal, formatNumber } from "../model/format.ts"
import { differencesOf } from "../model/rebuild.ts"
import { placeText } from "./GenerationFacts.tsx"
import type { Parity } from "../model/rebuild.ts"

/** Nothing was compared with a generation that stands still. */
const HaltedLine = ({ parity: { servedHalt, accepted, position } }: { readonly parity: Parity }) =>
  servedHalt === null ? null : (
    <>
      <p className="verdict fails">
        <span aria-hidden="true">!</span>
        Not compared: the served generation has halted at {placeText(servedHalt.position)} with {servedHalt.code}, this one stands at {placeText(position)}
        {accepted === null ? null : <code>accepted: {accepted}</code>}
      </p>
      <p className="note">{servedHalt.detail}</p>
    </>
  )

const Counts = ({ parity }: { readonly parity: Parity }) => {
  const differing = differencesOf(parity) + BigInt(parity.faults.length)
  const [state, mark] = differing === 0n ? ["holds", "✓"] : parity.accepted === null ? ["fails", "!"] : ["holds", "✓"]
  return (
    <p className={`verdict ${state}`}>
      <span aria-hidden="true">{mark}</span>
      Parity at {placeText(parity.position)}: compared {formatDecimal(parity.compared)} · equal {formatDecimal(parity.equal)} · differ {formatDecimal(parity.differ)} · only old {formatDecimal(parity.onlyOld)} · only new {formatDecimal(parity.onlyNew)}
      {parity.accepted === null ? null : <code>accepted: {parity.accepted}</code>}
    </p>
  )
}

const sampleText = ({ windows, skipped, wholeRows, differing }: NonNullable<Parity["sample"]>): string =>
  wholeRows === null
    ? `${formatNumber(windows)} windows chosen at random were recomputed from the log: ${formatNumber(differing.length)} differ${skipped === 0 ? "" : `, ${formatNumber(skipped)} were too large`}.`
    : `Every window chosen at random was too large, so all ${formatDecimal(wholeRows)} rows of the new generation were recomputed from the log${differing.length === 0 ? ": none differs" : ": not all are equal"}.`

export const ParityReport = ({ parity }: { readonly parity: Parity }) => (
  <>
    {[...new Set(parity.faults)].map((fault) => <p className="failure" role="alert" key={fault}>{fault}</p>)}
    {parity.servedHalt === null ? <Counts parity={parity} /> : <HaltedLine parity={parity} />}
    {parity.sample === null ? <p className="note">{parity.sameDefinition ? "The definition is the same: digests, counters and every row were compared." : ""}</p> : <p className="note">{sampleText(parity.sample)}</p>}
  </>
)
