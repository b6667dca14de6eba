/** Who, when, how fresh: tenant, range, freshness, pause and theme. */
import { useId } from "react"
import { formatClockSeconds, formatDuration } from "../model/format.ts"
import { formatPageState, PAGES, RANGES } from "../model/range.ts"
import { toggleTheme } from "./theme.ts"
import type { Tenant } from "../data/session.ts"
import type { Freshness } from "../model/freshness.ts"
import type { PageName, PageState } from "../model/range.ts"

export interface TopBarProps {
  readonly tenants: readonly Tenant[]
  readonly tenant: string
  readonly page: PageState
  readonly freshness: Freshness
  readonly watermark: string | null
  readonly nowMs: number
  readonly paused: boolean
  readonly go: (state: PageState) => void
  readonly togglePause: () => void
  /** Opens the way to the past, or leaves it. */
  readonly toggleAsOf: () => void
  readonly isAsOfShown: boolean
  readonly signOut: (() => void) | undefined
}

const Brand = () => (
  <span className="brand">
    <svg viewBox="0 0 32 32" width={26} height={26} aria-hidden="true"><rect width={32} height={32} rx={8} className="brand-box" /><path className="brand-wave" d="M5 19c3.7 0 3.7-4 7.3-4s3.7 4 7.4 4 3.6-4 7.3-4" /><path className="brand-mark" d="M5 25h22" /></svg>
    <h1>Tidemark</h1>
  </span>
)

const PAGE_LABELS: Readonly<Record<PageName, string>> = { home: "Numbers", projections: "Projections", late: "Late & rejected" }

const Pages = ({ page, go }: Pick<TopBarProps, "page" | "go">) => (
  <nav className="pages" aria-label="Pages">
    {PAGES.map((name) => (
      <a key={name} href={formatPageState({ ...page, page: name })} aria-current={page.page === name ? "page" : undefined} onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return
        event.preventDefault()
        go({ ...page, page: name })
      }}>{PAGE_LABELS[name]}</a>
    ))}
  </nav>
)

const FreshnessPill = ({ freshness, watermark, nowMs }: Pick<TopBarProps, "freshness" | "watermark" | "nowMs">) => (
  <div className={`pill ${freshness.kind}`} title={freshness.detail} role="group" aria-label={`Freshness: ${freshness.label}. ${freshness.detail}`}>
    <span className="pill-icon" aria-hidden="true" />
    <span className="pill-label">{freshness.label}</span>
    {watermark === null ? null : <span className="pill-mark">gap {formatDuration(nowMs - Date.parse(watermark))}<span className="pill-more"> · complete to {formatClockSeconds(Date.parse(watermark))} UTC</span></span>}
  </div>
)

export const TopBar = ({ tenants, tenant, page, freshness, watermark, nowMs, paused, go, togglePause, toggleAsOf, isAsOfShown, signOut }: TopBarProps) => {
  const id = useId()
  return (
    <header className="top-bar">
      <Brand />
      <Pages page={page} go={go} />
      <FreshnessPill freshness={freshness} watermark={watermark} nowMs={nowMs} />
      <div className="controls">
        {tenants.length < 2 ? null : (
          <label className="field" htmlFor={id}>
            <span className="visually-hidden">Tenant</span>
            <select id={id} value={tenant} onChange={(event) => go({ ...page, tenant: event.target.value })}>
              {tenants.map(({ name }) => <option key={name} value={name}>{name}</option>)}
            </select>
          </label>
        )}
        {page.page !== "home" ? null : (
          <div className="segmented" role="group" aria-label="Range">
            {Object.values(RANGES).map(({ name, label }) => (
              <button key={name} type="button" aria-pressed={name === page.range} aria-label={label} onClick={() => go({ ...page, tenant, range: name })}>{name.replace(/(\d+)/, "$1 ")}</button>
            ))}
          </div>
        )}
        {page.page !== "home" ? null : <button type="button" className="small" aria-pressed={isAsOfShown} onClick={toggleAsOf}>As of</button>}
        {page.page !== "home" || page.asOfMs !== undefined ? null : <button type="button" className="small" aria-pressed={paused} onClick={togglePause}>{paused ? "Resume" : "Pause"}</button>}
        <button type="button" className="small icon" onClick={toggleTheme} aria-label="Switch between light and dark" title="Light or dark (d)">◐</button>
        {signOut === undefined ? null : <button type="button" className="small" onClick={signOut}>Sign out</button>}
      </div>
    </header>
  )
}
