/** Rebuilds in words, as the terminal shows them. */
import { table } from "../output.ts"

export interface Rebuild {
  readonly id: string
  readonly projection: string
  readonly status: string
  readonly generation: number
  readonly fromGeneration: number
  readonly reason: string
  readonly error: string | null
  readonly startedAt: string
  readonly finishedAt: string | null
  /** Until when the way back, or forth again, stays open. */
  readonly standbyUntil: string | null
  readonly history: readonly { readonly status: string; readonly at: string; readonly detail: string | null }[]
  readonly eventsPerSecondMax: number | null
  readonly eventsPerSecondAllowed: number | null
  /** Why it does not go as quickly as it could. */
  readonly throttle: string | null
  /** Why what stands by is no way back or forth. */
  readonly standbyHalt: string | null
  readonly plan: { readonly events: string; readonly bytes: string; readonly rows: string | null; readonly rowBytes: string | null; readonly diskFreeBytes: string | null; readonly seconds: number | null; readonly rateFrom: "LAST_REBUILD" | "SAMPLE" | null } | null
  readonly progress: { readonly processed: string; readonly total: string; readonly eventsPerSecond: number | null; readonly etaSeconds: number | null; readonly etaSecondsMin: number | null; readonly etaSecondsMax: number | null; readonly time: { readonly read: number; readonly fold: number; readonly write: number; readonly throttle: number } | null } | null
  readonly parity: { readonly compared: string; readonly equal: string; readonly differ: string; readonly onlyOld: string; readonly onlyNew: string; readonly faults: readonly string[]; readonly accepted: string | null; readonly tenants: readonly { readonly tenantId: string; readonly windows: string }[] | null; readonly sample: { readonly windows: number; readonly skipped: number; readonly wholeRows: string | null; readonly differing: readonly string[] } | null; readonly servedHalt: { readonly code: string; readonly detail: string; readonly position: readonly { readonly partition: number; readonly offset: string }[] } | null } | null
}

export const grouped = (text: string): string => text.replace(/\B(?=(\d{3})+$)/g, " ")

export const size = (bytes: string): string => {
  const units = ["B", "kB", "MB", "GB", "TB"]
  let [value, unit] = [Number(bytes), 0]
  while (value >= 1_000 && unit < units.length - 1) [value, unit] = [value / 1_000, unit + 1]
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

const timeText = ({ seconds, rateFrom }: NonNullable<Rebuild["plan"]>): string =>
  seconds === null ? "no rate known yet" : `~${Math.ceil(seconds)} s${rateFrom === "SAMPLE" ? " by a sample, storing not counted" : ""}`

const roomText = ({ rowBytes, diskFreeBytes }: NonNullable<Rebuild["plan"]>): string =>
  `${rowBytes === null ? "" : ` · ~${size(rowBytes)}`}${diskFreeBytes === null ? "" : ` of ${size(diskFreeBytes)} free`}`

/** What is read, what is written, and that nothing is sent. */
export const planLine = ({ plan, generation, fromGeneration }: Rebuild): string => {
  if (plan === null) return `plan      writes gen ${generation} beside gen ${fromGeneration}`
  return [
    `plan      reads ${grouped(plan.events)} events · ${size(plan.bytes)} · ${timeText(plan)}`,
    `writes    gen ${generation} beside gen ${fromGeneration}${plan.rows === null ? "" : ` · ~${grouped(plan.rows)} rows`}${roomText(plan)}`,
    "emits     nothing: alerts and webhooks come from the served generation"
  ].join("\n")
}

export const phase = (status: string): string => status.toLowerCase().replace("_", " ")

export const progressLine = ({ status, progress }: Rebuild): string => {
  if (progress === null) return phase(status)
  const { processed, total, eventsPerSecond, etaSeconds, etaSecondsMin, etaSecondsMax } = progress
  const band = etaSecondsMin === null || etaSecondsMax === null ? 0 : Math.round((etaSecondsMax - etaSecondsMin) / 2)
  const percent = total === "0" ? 100 : Number((BigInt(processed) * 100n) / BigInt(total))
  const rate = eventsPerSecond === null || etaSeconds === null ? "" : `   ${grouped(String(Math.round(eventsPerSecond)))} ev/s   ETA ${Math.ceil(etaSeconds)} s${band === 0 ? "" : ` (±${band})`}`
  return `${phase(status)}  ${percent} %   ${grouped(processed)} / ${grouped(total)}${rate}`
}

/** What the time of its threads goes into, the most first; undefined where nothing was timed. */
export const slowedLine = ({ progress }: Rebuild): string | undefined => {
  const parts = Object.entries(progress?.time ?? {}).filter(([, share]) => share >= 0.005).sort(([, a], [, b]) => b - a)
  return parts.length === 0 ? undefined : `slowed by ${parts.map(([name, share]) => `${name} ${Math.round(share * 100)} %`).join(" · ")}`
}

export const throttleLine = ({ throttle, eventsPerSecondAllowed }: Rebuild): string | undefined =>
  throttle === null ? undefined : `throttle  ${throttle}${eventsPerSecondAllowed === null || eventsPerSecondAllowed === 0 || throttle.startsWith("capped") ? "" : `   at most ${grouped(String(Math.round(eventsPerSecondAllowed)))} ev/s`}`

export const differing = ({ parity }: Rebuild): number => (parity === null ? 0 : Number(parity.differ) + Number(parity.onlyOld) + Number(parity.onlyNew) + parity.faults.length)

/** Whose windows differ, as the operator is told. */
const tenantLines = (tenants: NonNullable<Rebuild["parity"]>["tenants"]): readonly string[] =>
  tenants === null || tenants.length === 0 ? [] : [`tenants   ${tenants.map(({ tenantId, windows }) => `${tenantId} ${grouped(windows)}`).join(" · ")}`]

const sampleLines = (sample: NonNullable<Rebuild["parity"]>["sample"]): readonly string[] =>
  sample === null ? [] : sample.wholeRows !== null ? [`whole     ${grouped(sample.wholeRows)} rows recomputed from the log, for every chosen window was too large · ${sample.differing.length === 0 ? "none differs" : "not all are equal"}`] : [`sample    ${sample.windows} windows recomputed from the log · ${sample.differing.length} differ${sample.skipped === 0 ? "" : ` · ${sample.skipped} too large`}`]

export const parityLine = ({ parity, generation, fromGeneration }: Rebuild): string => {
  if (parity === null) return "parity    not compared yet"
  const { compared, equal, differ, onlyOld, onlyNew, faults, sample, servedHalt, tenants } = parity
  if (servedHalt !== null) {
    const at = servedHalt.position.map(({ partition, offset }) => `${partition}/${offset}`).join(" ")
    return [`parity    not compared: gen ${fromGeneration} has halted at ${at} with ${servedHalt.code}: ${servedHalt.detail}`, ...sampleLines(sample), ...faults.map((fault) => `          ${fault}`)].join("\n")
  }
  const more = [[`only gen ${fromGeneration}`, onlyOld], [`only gen ${generation}`, onlyNew]].filter(([, count]) => count !== "0").map(([name, count]) => ` · ${name}: ${count}`)
  return [`parity    compared ${grouped(compared)} · equal ${grouped(equal)} · differ ${grouped(differ)}${more.join("")}`, ...sampleLines(sample), ...tenantLines(tenants), ...faults.map((fault) => `          ${fault}`)].join("\n")
}

const clock = (at: string): string => at.slice(11, 19)

const lengthText = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  return seconds < 120 ? `${seconds} s` : seconds < 7_200 ? `${Math.floor(seconds / 60)} m ${seconds % 60} s` : `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} m`
}

/** Nothing happens after these. */
const LAST: readonly string[] = ["RETIRED", "ABORTED"]

/** Each phase with when it began, UTC, and how long it took, the last one up to `nowMs`; undefined where no step is known. */
export const phasesLine = ({ history }: Rebuild, nowMs: number): string | undefined => {
  const stays: { readonly status: string; readonly at: string; untilMs: number }[] = []
  for (const { status, at } of history) {
    const last = stays.at(-1)
    if (last?.status === status) continue
    if (last !== undefined) last.untilMs = Date.parse(at)
    stays.push({ status, at, untilMs: LAST.includes(status) ? Date.parse(at) : nowMs })
  }
  return stays.length === 0 ? undefined : `phases    ${stays.map(({ status, at, untilMs }) => `${phase(status)} ${clock(at)}${LAST.includes(status) ? "" : ` ${lengthText(untilMs - Date.parse(at))}`}`).join(" · ")}`
}

/** Every step, oldest first. */
export const historyTable = ({ history }: Rebuild): string =>
  table(["AT (UTC)", "STATUS", "WHAT"], history.map(({ at, status, detail }) => [at, phase(status), detail ?? ""]))

/** Until when the switch stays possible; undefined where nothing stands by. */
export const wayBackLine = ({ status, standbyUntil, standbyHalt, fromGeneration, generation }: Rebuild, nowMs: number): string | undefined =>
  standbyUntil === null || standbyHalt !== null ? undefined : `standby   gen ${status === "ACTIVE" ? fromGeneration : generation} can serve again until ${standbyUntil}, ${lengthText(Date.parse(standbyUntil) - nowMs)} from now`

export interface Generation {
  readonly generation: number
  readonly served: boolean
  readonly version: number | null
  readonly definitionHash: string
  readonly changedMeasures: readonly string[]
  readonly missingMeasures: readonly string[]
  readonly createdAt: string
  readonly position: readonly { readonly partition: number; readonly offset: string }[]
  readonly lagEvents: string
  readonly deadLetters: string
  readonly halt: string | null
  readonly size: { readonly rows: string; readonly bytes: string } | null
}

/** Generations beside each other. Rows are those of minute, hour and day; disk is measured. */
export const generationTable = (generations: readonly Generation[]): string =>
  table(["GEN", "SERVES", "DEFINITION", "POSITION", "LAG", "ROWS", "DISK", "DEAD", "HALT"], generations.map((one) => [
    String(one.generation), one.served ? "yes" : "no",
    `${one.definitionHash.slice(0, 8)}${one.version === null ? "" : ` v${one.version}`}${[...one.changedMeasures.map((name) => ` +${name}`), ...one.missingMeasures.map((name) => ` -${name}`)].join("")}`,
    grouped(String(one.position.reduce((sum, { offset }) => sum + BigInt(offset), 0n))), grouped(one.lagEvents), one.size === null ? "–" : grouped(one.size.rows), one.size === null ? "–" : size(one.size.bytes), grouped(one.deadLetters), one.halt ?? ""
  ]))
