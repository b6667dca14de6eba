/** What the background audit has found: stored windows held against the log, all the time. */
import { useQuery } from "@tanstack/react-query"
import { auditOptions } from "../data/audit.ts"
import { auditSkipped, auditSummary, auditTimes, auditVerdict } from "../model/audit.ts"
import { formatMoment } from "../model/format.ts"
import { Panel, PanelBody } from "./Panel.tsx"
import type { Api } from "../data/graphql.ts"
import type { Audit } from "../model/audit.ts"

const MARKS = { holds: "✓", fails: "!", none: "…" } as const

const Result = ({ audit, nowMs }: { readonly audit: Audit; readonly nowMs: number }) => {
  const verdict = auditVerdict(audit)
  const skipped = auditSkipped(audit)
  return (
    <>
      <p className={`verdict ${verdict}`} role={verdict === "fails" ? "alert" : undefined}><span aria-hidden="true">{MARKS[verdict]}</span>{auditSummary(audit)}<small className="muted">{auditTimes(audit, nowMs)}</small></p>
      {audit.lastDifferenceAt === null ? null : <p className="failure"><span>The last difference was found at {formatMoment(Date.parse(audit.lastDifferenceAt), nowMs)} UTC{audit.lastDifference === null ? "." : <>: <bdi>{audit.lastDifference}</bdi></>} <code>tidemark verify --full</code> names every one.</span></p>}
      {skipped === undefined ? null : <p className="note">{skipped}</p>}
    </>
  )
}

export const AuditResult = ({ api, nowMs }: { readonly api: Api; readonly nowMs: number }) => {
  const query = useQuery(auditOptions(api))
  const audit = query.data
  return (
    <Panel title="Audit" note="Stored windows of every projection, chosen at random, are recomputed from the log by a path of their own and compared. None may differ.">
      <PanelBody query={query} hasData={audit !== undefined && audit !== null} className="audit" empty={<p>The server that answers this page runs no audit. A process with the role projector does.</p>}>
        {audit === undefined || audit === null ? null : <Result audit={audit} nowMs={nowMs} />}
      </PanelBody>
    </Panel>
  )
}
