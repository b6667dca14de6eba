/** Who, when, how fresh: tenant, range, freshness, pause and theme. */
import { useId } from "react"
import { formatClockSeconds, formatDuration } from "../model/format.ts"
import { RANGES } from "../model/range.ts"
import { toggleTheme } from "./theme.ts"
import type { Tenant } from "../data/session.ts"
import type { Freshness } from "../model/freshness.ts"
import type { PageState, RangeName } from "../model/range.ts"

export interface TopBarProps {
  readonly tenants: readonly Tenant[]
  readonly tenant: string
  readonly range: RangeName
  readonly freshness: Freshness
  readonly watermark: string | null
  readonly nowMs: number
  readonly paused: boolean
  readonly go: (state: PageState) => void
  readonly togglePause: () => void
  readonly signOut: (() => void) | undefined
}

const Brand = () => (
  <span className="brand">
    <svg viewBox="0 0 32 32" width={26} height={26} aria-hidden="true"><rect width={32} height={32} rx={8} className="brand-box" /><path className="brand-wave" d="M5 19c3.7 0 3.7-4 7.3-4s3.7 4 7.4 4 3.6-4 7.3-4" /><path className="brand-mark" d="M5 25h22" /></svg>
    <h1>Tidemark</h1>
  </span>
)

const FreshnessPill = ({ freshness, watermark, nowMs }: Pick<TopBarProps, "freshness" | "watermark" | "nowMs">) => (
  <div className={`pill ${freshness.kind}`} title={freshness.detail} role="group" aria-label={`Freshness: ${freshness.label}. ${freshness.detail}`}>
    <span className="pill-icon" aria-hidden="true" />
    <span className="pill-label">{freshness.label}</span>
    {watermark === null ? null : <span className="pill-mark">gap {formatDuration(nowMs - Date.parse(watermark))}<span className="pill-more"> · complete to {formatClockSeconds(Date.parse(watermark))} UTC</span></span>}
  </div>
)

export const TopBar = ({ tenants, tenant, range, freshness, watermark, nowMs, paused, go, togglePause, signOut }: TopBarProps) => {
  const id = useId()
  return (
    <header className="top-bar">
      <Brand />
      <FreshnessPill freshness={freshness} watermark={watermark} nowMs={nowMs} />
      <div className="controls">
        {tenants.length < 2 ? null : (
          <label className="field" htmlFor={id}>
            <span className="visually-hidden">Tenant</span>
            <select id={id} value={tenant} onChange={(event) => go({ tenant: event.target.value, range })}>
              {tenants.map(({ name }) => <option key={name} value={name}>{name}</option>)}
            </select>
          </label>
        )}
        <div className="segmented" role="group" aria-label="Range">
          {Object.values(RANGES).map(({ name, label }) => (
            <button key={name} type="button" aria-pressed={name === range} aria-label={label} onClick={() => go({ tenant, range: name })}>{name.replace(/(\d+)/, "$1 ")}</button>
          ))}
        </div>
        <button type="button" className="small" aria-pressed={paused} onClick={togglePause}>{paused ? "Resume" : "Pause"}</button>
        <button type="button" className="small icon" onClick={toggleTheme} aria-label="Switch between light and dark" title="Light or dark (d)">◐</button>
        {signOut === undefined ? null : <button type="button" className="small" onClick={signOut}>Sign out</button>}
      </div>
    </header>
  )
}
