/**
 * Questions as of a moment within an import: many records share each minute of receive time and their windows lie weeks
 * apart, so nearly every window has events on both sides of the moment and has to be folded again.
 */
import { writeLog } from "./benchLog.ts"
import { makePageOf, makeRandom } from "./eventStream.ts"
import { conditions, known, median, numberOption, quantile, rounded } from "./measuring.ts"
import type { Report } from "./measuring.ts"
import { makeSender } from "./openLoop.ts"
import type { Sender } from "./openLoop.ts"
import { cpuSecondsOf, untilFolded, withServer } from "./serverUnderTest.ts"

/** Receive time of the first event of the generated log. */
const START_MS = Date.UTC(2026, 0, 1)
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
const SPAN_DAYS = 30

const iso = (ms: number): string => JSON.stringify(new Date(ms).toISOString())

interface Drawn {
  readonly page: string
  /** Start of some day of the import. */
  readonly dayMs: number
  readonly minute: number
}

const range = (fromMs: number, toMs: number): string => `projection: "page-views", from: ${iso(fromMs)}, to: ${iso(toMs)}`
const MEASURES = `measures: ["views", "visitors", "duration.p95"]`
const POINTS = "groups { points { start events measures { value } } }"

/** By name: the field with its arguments, to which `asOf` is added, and what is selected of it. */
const questions: Readonly<Record<string, (drawn: Drawn) => readonly [call: string, selection: string]>> = {
  "window, one page and minute": ({ page, dayMs, minute }) => [`window(projection: "page-views", key: [{ name: "page", value: "${page}" }], start: ${iso(dayMs + minute * MINUTE_MS)}, resolution: MINUTE`, "events"],
  "series, an hour by minutes": ({ dayMs }) => [`series(${range(dayMs + 12 * HOUR_MS, dayMs + 13 * HOUR_MS)}, ${MEASURES}, resolution: MINUTE`, POINTS],
  "series, a day by hours": ({ dayMs }) => [`series(${range(dayMs, dayMs + DAY_MS)}, ${MEASURES}, resolution: HOUR`, POINTS],
  "series, a day by hours, one page": ({ page, dayMs }) => [`series(${range(dayMs, dayMs + DAY_MS)}, ${MEASURES}, resolution: HOUR, where: [{ name: "page", in: ["${page}"] }]`, POINTS],
  "top ten pages of a day": ({ dayMs }) => [`top(${range(dayMs, dayMs + DAY_MS)}, measure: "views", by: "page"`, "rows { value events measure { value } }"],
  "series, 30 days by days": () => [`series(${range(START_MS - SPAN_DAYS * DAY_MS, START_MS)}, ${MEASURES}, resolution: DAY`, POINTS]
}

const TIMED_OUT = JSON.stringify({ errors: [{ extensions: { code: "TIMEOUT" } }] })

/** How long the answer took, ms; or the code with which it was refused. */
const ask = async ({ send }: Sender, call: string, asOf: string, selection: string): Promise<number | string> => {
  const startMs = performance.now()
  // A question that takes too long is answered with another status, which the sender takes for a failure.
  const answer = await send(Buffer.from(JSON.stringify({ query: `{ ${call}${asOf}) { ${selection} } }` }))).catch((error: unknown) => {
    if (String(error).includes(`"code":"TIMEOUT"`)) return TIMED_OUT
    throw error
  })
  const tookMs = performance.now() - startMs
  const { errors } = JSON.parse(answer) as { readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[] }
  return errors === undefined ? tookMs : (errors[0]?.extensions?.code ?? "an error without a code")
}

/** `--events` imported within `--minutes`, `--asked` of each question, half of them before the middle of the import. */
export const past = async (argv: readonly string[]): Promise<Report> => {
  const events = numberOption(argv, "events", 200_000)
  const minutes = numberOption(argv, "minutes", 3)
  const asked = numberOption(argv, "asked", 4)
  const shape = { events, partitions: 4, lanes: 4, everyMs: (minutes * MINUTE_MS) / events, tenants: ["default"], imported: { name: "history", spanMs: SPAN_DAYS * DAY_MS } }
  const rows = await withServer({ prepare: (dataDir) => writeLog(dataDir, shape) }, async ({ url, keys, pid }) => {
    await untilFolded(url)
    const sender = makeSender(`${url}/graphql`, keys.read)
    const found: Report["rows"][number][] = []
    const askAll = async (makeQuestion: (drawn: Drawn) => readonly [string, string], asOfAt: (share: number) => string) => {
      const random = makeRandom(5)
      const pageOf = makePageOf(random)
      const outcomes: (number | string)[] = []
      const cpuStart = cpuSecondsOf(pid)
      for (let at = 0; at < asked; at++) {
        const drawn = { page: pageOf(), dayMs: START_MS - (1 + Math.floor(random() * (SPAN_DAYS - 1))) * DAY_MS, minute: Math.floor(random() * 1_440) }
        outcomes.push(await ask(sender, ...withAsOf(makeQuestion(drawn), asOfAt((at + 1) / (asked + 1)))))
      }
      return { outcomes, cpuMs: ((cpuSecondsOf(pid).main - cpuStart.main) * 1_000) / asked }
    }
    for (const [question, makeQuestion] of Object.entries(questions)) {
      const present = await askAll(makeQuestion, () => "")
      const then = await askAll(makeQuestion, (share) => `, asOf: { time: ${iso(START_MS + share * minutes * MINUTE_MS)} }`)
      const times = then.outcomes.filter((outcome) => typeof outcome === "number")
      const refused = then.outcomes.filter((outcome) => typeof outcome === "string")
      found.push({
        question, "present, main cpu ms": known(present.cpuMs), "as of then, main cpu ms": known(then.cpuMs), "median ms": known(median(times)), "longest ms": known(quantile(times, 1)),
        "refused as of then": refused.length === 0 ? "none" : `${refused.length} of ${asked}: ${[...new Set(refused)].join()}`
      })
    }
    sender.close()
    return found
  })
  return { name: "past", conditions: { ...conditions(), "imported events": events, "within minutes": minutes, "their days": SPAN_DAYS, asked: rounded(asked) }, rows }
}

const withAsOf = ([call, selection]: readonly [string, string], asOf: string): readonly [call: string, asOf: string, selection: string] => [call, asOf, selection]
