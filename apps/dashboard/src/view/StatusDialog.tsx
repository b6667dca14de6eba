/** The parts of the server, and which of them is not ready. */
import { useQuery } from "@tanstack/react-query"
import { statusOptions } from "../data/status.ts"
import { Failure } from "./Panel.tsx"
import { SidePanel } from "./SidePanel.tsx"

const Parts = () => {
  const query = useQuery(statusOptions)
  if (query.error !== null) return <Failure error={query.error} retry={query.refetch} />
  if (query.data === undefined) return <div className="skeleton proof-skeleton" role="status" aria-label="Loading" />
  const { ready, parts } = query.data
  const waiting = parts.filter((part) => !part.ready).length
  return (
    <>
      <p className={ready ? "verdict holds" : "verdict fails"}>
        <span aria-hidden="true">{ready ? "✓" : "!"}</span>
        {ready ? "Everything is ready" : `${waiting} of ${parts.length} parts not ready`}
      </p>
      <dl className="facts status-facts">
        {parts.map((part) => (
          <div key={part.name}>
            <dt>{part.name}</dt>
            <dd>{part.ready ? "ready" : "not ready"}<small>{part.detail}</small></dd>
          </div>
        ))}
      </dl>
      <p className="note">For programs: <a href="/readyz">/readyz</a>, <a href="/metrics">/metrics</a></p>
    </>
  )
}

export const StatusDialog = ({ close }: { readonly close: () => void }) => (
  <SidePanel note="Is the server well?" title="Status" close={close}><Parts /></SidePanel>
)
