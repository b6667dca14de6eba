/** What changed between two moments: A is pinned, B is shown. Window by window, each with its proof and its life. */
import { useQuery } from "@tanstack/react-query"
import { useId, useState } from "react"
import { changesOptions } from "../data/past.ts"
import { causeText, changesText, COMPARED, figureText, inOrder, isCompared, momentText } from "../model/comparison.ts"
import { formatDecimal, formatWindow } from "../model/format.ts"
import { RANGES } from "../model/range.ts"
import { Panel, PanelBody } from "./Panel.tsx"
import { SidePanel } from "./SidePanel.tsx"
import { WindowEvents } from "./WindowEvents.tsx"
import type { Api } from "../data/graphql.ts"
import type { ComparedName, WindowChange, WindowChanges } from "../model/comparison.ts"
import type { RangeName } from "../model/range.ts"

export interface ComparisonProps {
  readonly api: Api
  readonly range: RangeName
  /** A, Unix ms. */
  readonly pinMs: number
  /** B, Unix ms; undefined: now. */
  readonly shownMs: number | undefined
  readonly nowMs: number
}

/** `before → after`, the earlier one grey. */
const Change = ({ before, after }: { readonly before: string; readonly after: string }) => <><span className="muted">{before}</span> → <strong>{after}</strong></>

const Table = ({ found, measures, open }: { readonly found: WindowChanges; readonly measures: readonly string[]; readonly open: (change: WindowChange) => void }) => (
  <div className="table-box stacked comparison-box" tabIndex={0} role="region" aria-label="Changed windows">
    <table>
      <thead><tr><th scope="col">Window</th><th scope="col">What happened</th><th scope="col">Key</th>{measures.map((measure) => <th key={measure} scope="col" className="num">{measure}</th>)}<th scope="col" className="num">events</th></tr></thead>
      <tbody>
        {found.changes.map((change) => (
          <tr key={`${change.start} ${change.key.map(({ value }) => value).join("\u0000")}`}>
            <th scope="row"><button type="button" className="link" title="Its events, and how it became what it is" onClick={() => open(change)}>{formatWindow(Date.parse(change.start), Date.parse(change.end))}</button></th>
            <td>{causeText(change)}</td>
            <td data-name="Key" className="wrap"><bdi>{change.key.map(({ value }) => value).join(" · ")}</bdi></td>
            {measures.map((measure) => <td key={measure} data-name={measure} className="num"><span><Change before={figureText(change.before, measure)} after={figureText(change.after, measure)} /></span></td>)}
            <td data-name="events" className="num"><span><Change before={change.before === null ? "–" : formatDecimal(change.before.events)} after={change.after === null ? "–" : formatDecimal(change.after.events)} /></span></td>
          </tr>
        ))}
      </tbody>
    </table>
  </div>
)

export const Comparison = ({ api, range, pinMs, shownMs, nowMs }: ComparisonProps) => {
  const id = useId()
  const [projection, setProjection] = useState<ComparedName>("page-views")
  const [opened, open] = useState<WindowChange>()
  const query = useQuery(changesOptions(api, projection, range, pinMs, shownMs))
  const found = query.data
  const { measures } = COMPARED[projection]
  const { afterMs, pinIsLater } = inOrder(pinMs, shownMs)
  const chooser = (
    <label className="field" htmlFor={id}>
      <span className="visually-hidden">Compare</span>
      <select id={id} value={projection} onChange={(event) => isCompared(event.target.value) && setProjection(event.target.value)}>{Object.entries(COMPARED).map(([name, { label }]) => <option key={name} value={name}>{label}</option>)}</select>
    </label>
  )
  const names = pinIsLater ? ["B", "A"] : ["A", "B"]
  const [window, key] = opened === undefined ? [undefined, ""] : [{ startMs: Date.parse(opened.start), endMs: Date.parse(opened.end) }, opened.key.map(({ value }) => value).join(" · ")]
  return (
    <Panel className="wide comparison" title="What changed" note={<>From {names[0]} to {names[1]}: A is <span className="moment-a">{momentText(pinMs, nowMs)}</span>, B is <span className="moment-b">{momentText(shownMs, nowMs)}</span>. {found === undefined ? "" : changesText(found)}</>} actions={chooser}>
      <PanelBody query={query} hasData={found !== undefined && found.changes.length > 0} className="body-comparison" empty={<p>No window of this range is another one at the two moments. Pin an earlier moment, or choose a longer range.</p>}>
        {found === undefined ? null : <Table found={found} measures={measures} open={open} />}
        {found === undefined || found.changed <= found.changes.length ? null : <p className="note">The first {found.changes.length} are listed, the oldest first; <code>tidemark changes {projection}</code> lists more.</p>}
      </PanelBody>
      {opened === undefined || window === undefined ? null : (
        <SidePanel note="What changed" title={<><bdi>{key}</bdi> <strong>{figureText(opened.before, measures[0])} → {figureText(opened.after, measures[0])}</strong></>} close={() => open(undefined)}>
          <WindowEvents api={api} question={{ projection, key: opened.key, start: opened.start, resolution: RANGES[range].resolution, ...(afterMs === undefined ? {} : { asOfMs: afterMs }) }} measure={measures[0]} point={window} />
        </SidePanel>
      )}
    </Panel>
  )
}
