/** The most viewed pages, as bars. */
import { useQuery } from "@tanstack/react-query"
import { topPagesOptions } from "../data/questions.ts"
import { formatNumber } from "../model/format.ts"
import { RankedBars } from "./RankedBars.tsx"
import { Panel, PanelBody } from "./Panel.tsx"
import { useProvenance } from "./provenance.ts"
import type { Api } from "../data/graphql.ts"
import type { RangeSpec } from "../model/range.ts"

export const TopPages = ({ api, range, asOfMs }: { readonly api: Api; readonly range: RangeSpec; readonly asOfMs: number | undefined }) => {
  const query = useQuery(topPagesOptions(api, range.name, asOfMs))
  const explain = useProvenance()
  const rows = query.data?.rows ?? []
  const bars = rows.map((row) => ({
    name: row.value,
    value: row.measure.value ?? 0,
    colour: "var(--series-1)",
    onWhy: () => {
      const key = [{ name: "page", value: row.value }]
      explain({ title: `Views of ${row.value}`, shown: formatNumber(row.measure.value ?? 0), measure: "views", key, question: { projection: "page-views", measures: ["views"], range: range.name, wide: false, where: key, ...(asOfMs === undefined ? {} : { asOfMs }) } })
    }
  }))
  return (
    <Panel title="Top pages" note={`Views · ${range.label.toLowerCase()}`}>
      <PanelBody query={query} hasData={rows.length > 0} className="body-list" empty={<p>No pages yet. The <code>data.page</code> of each <code>page.viewed</code> event is counted here.</p>}>
        <RankedBars bars={bars} label="Views by page" />
      </PanelBody>
    </Panel>
  )
}
