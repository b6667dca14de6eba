/** The pages: what happens now, how it is made, and the proof behind every number. */
import { useQuery } from "@tanstack/react-query"
import { useMemo, useState } from "react"
import { seriesOptions } from "../data/questions.ts"
import { formatClockSeconds, formatDecimal } from "../model/format.ts"
import { freshnessOf } from "../model/freshness.ts"
import { positionTotal } from "../model/order.ts"
import { RANGES, spanAt, wideSpanAt } from "../model/range.ts"
import { waitingCount } from "../model/tail.ts"
import { AsOf } from "./AsOf.tsx"
import { AuditResult } from "./AuditResult.tsx"
import { useNow } from "./clock.ts"
import { Comparison } from "./Comparison.tsx"
import { EventTail } from "./EventTail.tsx"
import { EventTypes } from "./EventTypes.tsx"
import { FirstEvent } from "./FirstEvent.tsx"
import { Ledgers } from "./Ledgers.tsx"
import { useShortcuts } from "./keyboard.ts"
import { useLive, useLiveSeries } from "./live.ts"
import { PageViews } from "./PageViews.tsx"
import { Projections } from "./Projections.tsx"
import { ProvenanceContext } from "./provenance.ts"
import { ProvenanceDialog } from "./ProvenanceDialog.tsx"
import { StatusDialog } from "./StatusDialog.tsx"
import { toggleTheme } from "./theme.ts"
import { Tiles } from "./Tiles.tsx"
import { TopBar } from "./TopBar.tsx"
import { TopPages } from "./TopPages.tsx"
import type { ReactNode } from "react"
import type { Api } from "../data/graphql.ts"
import type { SeriesQuestion } from "../data/questions.ts"
import type { Session, Tenant } from "../data/session.ts"
import type { PartitionOffset } from "../model/answer.ts"
import type { Freshness } from "../model/freshness.ts"
import type { PageState, RangeName } from "../model/range.ts"
import type { Live } from "./live.ts"
import type { Subject } from "./provenance.ts"

const BOUND_MS = 10_000
const BANNER_AFTER_MS = 3_000

export interface DashboardProps {
  readonly session: Session
  readonly tenant: Tenant
  readonly page: PageState
  readonly go: (state: PageState) => void
  readonly signOut: (() => void) | undefined
}

/** Who counts held events by hand: the tenant's admin key, where it is known; of a typed key only the server knows what it may. */
const writerOf = ({ adminKey }: Session, { name, readKey, adminKey: own }: Tenant): Api | undefined => {
  const key = own ?? (name === "default" ? adminKey : name === "own" ? readKey : undefined)
  return key === undefined ? undefined : { tenant: name, readKey: key }
}

interface Questions {
  readonly views: SeriesQuestion
  readonly visitors: SeriesQuestion
  readonly revenue: SeriesQuestion
  readonly events: SeriesQuestion
}

const questionsOf = (range: RangeName, asOfMs: number | undefined): Questions => {
  const at = asOfMs === undefined ? {} : { asOfMs }
  return {
    views: { projection: "page-views", measures: ["views", "visitors"], range, wide: false, ...at },
    visitors: { projection: "page-views", measures: ["visitors"], range, wide: true, ...at },
    revenue: { projection: "revenue", measures: ["orders", "amount"], range, wide: false, breakdownBy: "currency", ...at },
    events: { projection: "event-counts", measures: ["events"], range, wide: false, breakdownBy: "type", ...at }
  }
}

type Answers = ReturnType<typeof useAnswers>

const useAnswers = (api: Api, live: Live, range: RangeName, asOfMs: number | undefined, pinMs: number | undefined) => {
  const questions = useMemo(() => questionsOf(range, asOfMs), [range, asOfMs])
  const views = useLiveSeries(api, live.feed, questions.views)
  const visitors = useLiveSeries(api, live.feed, questions.visitors)
  const revenue = useLiveSeries(api, live.feed, questions.revenue)
  const events = useLiveSeries(api, live.feed, questions.events)
  const pinned = useQuery({ ...seriesOptions(api, { ...questions.views, asOfMs: pinMs ?? 0 }), enabled: pinMs !== undefined })
  return { questions, views, visitors, revenue, events, pinned: pinMs === undefined ? undefined : pinned.data }
}

const freshnessNow = (live: Live, watermark: string | null, nowMs: number): Freshness => {
  const newest = live.tail.waiting[0] ?? live.tail.rows[0]
  return freshnessOf({
    nowMs,
    watermarkMs: watermark === null ? undefined : Date.parse(watermark),
    boundMs: BOUND_MS,
    connection: live.status.connection,
    lostAtMs: live.status.lostAtMs,
    newestEventMs: newest === undefined ? undefined : Date.parse(newest.time),
    behind: live.paused ? waitingCount(live.tail) : undefined
  })
}

/** What the pill says of the past. */
const pastFreshness = (asOfMs: number, position: readonly PartitionOffset[] | undefined): Freshness => ({
  kind: "past", label: `As of ${position === undefined ? formatClockSeconds(asOfMs) : `#${formatDecimal(String(positionTotal(position)))}`}`, detail: "The numbers are those of an earlier moment. Press Esc to come back to now."
})

const pressFocusedNumber = (): void => {
  const focused = document.activeElement
  const target = focused instanceof HTMLElement && focused.dataset["why"] !== undefined ? focused : document.querySelector<HTMLElement>("[data-why]")
  target?.click()
}

/** Two clocks: one that stops while paused (the view), one that never does (the connection). */
const useClocks = (paused: boolean): { readonly viewMs: number; readonly wallMs: number } => ({ viewMs: useNow(paused), wallMs: useNow(false) })

interface NumbersProps {
  readonly api: Api
  readonly live: Live
  readonly answers: Answers
  readonly range: RangeName
  readonly viewMs: number
  /** The numbers are those known then; undefined: now. */
  readonly asOfMs: number | undefined
  /** The moment that is held against it, Unix ms. */
  readonly pinMs: number | undefined
  readonly nowMs: number
  /** What a tenant without events is shown first. */
  readonly firstEvent: ReactNode
}

/** What happens now, or was known then: the tail of events is of now only. */
const Numbers = ({ api, live, answers, range, viewMs, asOfMs, pinMs, nowMs, firstEvent }: NumbersProps) => {
  const { questions, views, visitors, revenue, events, pinned } = answers
  const spec = RANGES[range]
  const span = spanAt(spec, viewMs)
  return (
    <>
      {firstEvent}
      <Tiles views={{ query: views, question: questions.views }} visitors={{ query: visitors, question: questions.visitors }} revenue={{ query: revenue, question: questions.revenue }} events={{ query: events, question: questions.events }} range={spec} span={span} wideSpan={wideSpanAt(spec, viewMs)} />
      <PageViews query={views} question={questions.views} range={spec} span={span} nowMs={viewMs} pinned={pinned} />
      {pinMs === undefined ? null : <Comparison api={api} range={range} pinMs={pinMs} shownMs={asOfMs} nowMs={nowMs} />}
      <div className="columns-2">
        <TopPages api={api} range={spec} asOfMs={asOfMs} />
        <EventTypes query={events} question={questions.events} range={spec} span={span} />
      </div>
      {asOfMs === undefined ? <EventTail api={api} live={live} /> : null}
    </>
  )
}

export const Dashboard = ({ session, tenant, page, go, signOut }: DashboardProps) => {
  const { range } = page
  const asOfMs = page.page === "home" ? page.asOfMs : undefined
  const api = useMemo<Api>(() => ({ tenant: tenant.name, readKey: tenant.readKey }), [tenant])
  const admin = useMemo<Api | undefined>(() => (session.adminKey === undefined ? undefined : { tenant: "default", readKey: session.adminKey }), [session])
  const writer = useMemo(() => writerOf(session, tenant), [session, tenant])
  const live = useLive(api)
  const pinMs = page.page === "home" ? page.pinMs : undefined
  const answers = useAnswers(api, live, range, asOfMs, pinMs)
  const { viewMs, wallMs } = useClocks(live.paused)
  const [statusShown, setStatusShown] = useState(false)
  const [isAsOfOpen, setIsAsOfOpen] = useState(false)
  const [subject, setSubject] = useState<{ readonly subject: Subject; readonly openedAtMs: number }>()
  const watermark = answers.views.data?.watermark ?? null
  const lost = live.status.connection === "reconnecting" && wallMs - (live.status.lostAtMs ?? wallMs) > BANNER_AFTER_MS
  const position = answers.views.data?.position
  const goTo = (atMs: number | undefined): void => {
    setIsAsOfOpen(false)
    go({ ...page, asOfMs: atMs })
  }
  const step = (windows: number): void => {
    const atMs = (asOfMs ?? wallMs) + windows * RANGES[range].stepMs
    if (page.page === "home") goTo(atMs >= wallMs ? undefined : atMs)
  }
  const leave = asOfMs === undefined ? () => go({ ...page, pinMs: undefined }) : () => goTo(undefined)
  const firstEvent = asOfMs === undefined && live.tailKnown && !live.anySeen && live.tail.waiting.length === 0
  const writeKey = tenant.writeKey ?? session.writeKey
  const explain = useMemo(() => (next: Subject): void => setSubject({ subject: next, openedAtMs: next.question.asOfMs ?? Date.now() }), [])
  useShortcuts({ " ": live.togglePause, d: toggleTheme, i: pressFocusedNumber, "[": () => step(-1), "]": () => step(1), ...(asOfMs === undefined && pinMs === undefined ? {} : { Escape: leave }) })
  return (
    <ProvenanceContext value={explain}>
      <a className="skip" href="#content">Skip to the numbers</a>
      <TopBar tenants={session.tenants} tenant={tenant.name} page={page} freshness={asOfMs === undefined ? freshnessNow(live, watermark, wallMs) : pastFreshness(asOfMs, position)} watermark={watermark} nowMs={asOfMs ?? wallMs} paused={live.paused} go={go} togglePause={live.togglePause} toggleAsOf={() => (asOfMs !== undefined || pinMs !== undefined ? leave() : setIsAsOfOpen(!isAsOfOpen))} isAsOfShown={asOfMs !== undefined || pinMs !== undefined || isAsOfOpen} signOut={signOut} />
      <main id="content" className={`page${lost ? " lost" : ""}${asOfMs === undefined ? "" : " in-past"}`}>
        {lost ? <p className="banner" role="alert">The connection is lost; the numbers are those of the last update. Trying again.</p> : null}
        {page.page === "home" && (isAsOfOpen || asOfMs !== undefined || pinMs !== undefined) ? <AsOf api={api} asOfMs={asOfMs} position={position} range={range} pinMs={pinMs} nowMs={wallMs} go={goTo} pin={(atMs) => go({ ...page, pinMs: atMs })} close={() => setIsAsOfOpen(false)} /> : null}
        {page.page === "home" ? <Numbers api={api} live={live} answers={answers} range={range} viewMs={asOfMs ?? viewMs} asOfMs={asOfMs} pinMs={pinMs} nowMs={wallMs} firstEvent={firstEvent ? <FirstEvent writeKey={writeKey} tenant={tenant.name} ownTenant={tenant.writeKey !== undefined || tenant.name === "default"} /> : null} />
          : page.page === "late" ? <Ledgers api={api} writer={writer} projection={page.projection} list={page.list} choose={(projection, list) => go({ ...page, projection, list })} nowMs={wallMs} />
          : <><Projections api={api} admin={admin} chosen={page.projection} choose={(projection) => go({ ...page, projection })} nowMs={wallMs} /><AuditResult api={admin ?? api} nowMs={wallMs} /></>}
      </main>
      <footer className="foot">
        <span>Tidemark {session.version ?? ""}</span>
        <span><a href="/docs">HTTP</a> · <a href="/docs#query">GraphQL</a> · <button type="button" className="link" onClick={() => setStatusShown(true)}>Status</button></span>
        <span className="keys"><kbd>i</kbd> why <kbd>Space</kbd> pause <kbd>d</kbd> theme <kbd>←</kbd><kbd>→</kbd> windows</span>
      </footer>
      {subject === undefined ? null : <ProvenanceDialog api={api} subject={subject.subject} openedAtMs={subject.openedAtMs} close={() => setSubject(undefined)} />}
      {statusShown ? <StatusDialog close={() => setStatusShown(false)} /> : null}
    </ProvenanceContext>
  )
}
