/** Questions over GraphQL about a day of page views that is folded already: how long until they are answered. */
import { writeLog } from "./benchLog.ts"
import { makePageOf, makeRandom } from "./eventStream.ts"
import { conditions, known, listOption, numberOption, quantile, rounded, textOption } from "./measuring.ts"
import type { Report } from "./measuring.ts"
import { makeSender } from "./openLoop.ts"
import type { Sender } from "./openLoop.ts"
import { cpuSecondsOf, untilFolded, withServer } from "./serverUnderTest.ts"

const START_MS = Date.UTC(2026, 0, 1)
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
const WARM_UP_SHARE = 0.2
const MEASURES = ["views", "visitors", "duration.p95"]
const POINTS = "groups { key { value } points { start state events measures { name value } } }"

interface Question {
  readonly query: string
  readonly variables: Readonly<Record<string, unknown>>
  /** Of the answer; false when it holds nothing to speak of. */
  readonly isAnswered: (data: Readonly<Record<string, unknown>>) => boolean
}

const iso = (ms: number): string => new Date(ms).toISOString()

const hasPoints = ({ series }: Readonly<Record<string, unknown>>): boolean => (series as { readonly groups: readonly { readonly points: readonly unknown[] }[] }).groups.some(({ points }) => points.length > 0)

const dayByHours = (toMs: number): Question => ({
  query: `query ($from: DateTime!, $to: DateTime!, $measures: [String!]!) { series(projection: "page-views", measures: $measures, from: $from, to: $to, resolution: HOUR) { ${POINTS} } }`,
  variables: { from: iso(START_MS), to: iso(toMs), measures: MEASURES }, isAnswered: hasPoints
})

/** What the next question may be made of. */
interface Chance {
  readonly pageOf: () => string
  readonly below: (limit: number) => number
  /**
   * Another hour after the folded day at each call. A range that ends there holds the same windows, but was not asked for
   * before: a question asked again at the same position is answered from the cache, which would be all that is measured.
   */
  readonly laterMs: () => number
}

/** By name: makes the next question of its kind. */
const questions: Readonly<Record<string, (chance: Chance) => Question>> = {
  "series, a day by hours": ({ laterMs }) => dayByHours(laterMs()),
  "series, a day by hours, asked again": () => dayByHours(START_MS + DAY_MS),
  "series, an hour by minutes, one page": ({ pageOf, below }) => {
    const fromMs = START_MS + below((23 * HOUR_MS) / MINUTE_MS) * MINUTE_MS
    return {
      query: `query ($from: DateTime!, $to: DateTime!, $measures: [String!]!, $page: String!) { series(projection: "page-views", measures: $measures, from: $from, to: $to, resolution: MINUTE, where: [{ name: "page", in: [$page] }]) { ${POINTS} } }`,
      variables: { from: iso(fromMs), to: iso(fromMs + HOUR_MS), measures: MEASURES, page: pageOf() }, isAnswered: ({ series }) => series !== undefined
    }
  },
  "series, a day by hours, ten pages": ({ laterMs }) => ({
    query: `query ($from: DateTime!, $to: DateTime!, $measures: [String!]!) { series(projection: "page-views", measures: $measures, from: $from, to: $to, resolution: HOUR, breakdownBy: "page", first: 10) { ${POINTS} } }`,
    variables: { from: iso(START_MS), to: iso(laterMs()), measures: MEASURES }, isAnswered: hasPoints
  }),
  "top ten pages of six hours": ({ below }) => {
    const fromMs = START_MS + below((18 * HOUR_MS) / MINUTE_MS) * MINUTE_MS
    return {
      query: `query ($from: DateTime!, $to: DateTime!) { top(projection: "page-views", measure: "views", by: "page", from: $from, to: $to) { rows { value events measure { value } } } }`,
      variables: { from: iso(fromMs), to: iso(fromMs + 6 * HOUR_MS) }, isAnswered: ({ top }) => (top as { readonly rows: readonly unknown[] }).rows.length === 10
    }
  },
  "window, one page and minute": ({ pageOf, below }) => ({
    query: `query ($page: String!, $start: DateTime!) { window(projection: "page-views", key: [{ name: "page", value: $page }], start: $start, resolution: MINUTE) { state events measures { name value } } }`,
    variables: { page: pageOf(), start: iso(START_MS + below(DAY_MS / MINUTE_MS) * MINUTE_MS) }, isAnswered: ({ window }) => window !== undefined
  })
}

const ask = async ({ send }: Sender, { query: text, variables, isAnswered }: Question): Promise<number> => {
  const body = Buffer.from(JSON.stringify({ query: text, variables }))
  const startMs = performance.now()
  const answer = await send(body)
  const tookMs = performance.now() - startMs
  const { data, errors } = JSON.parse(answer) as { readonly data?: Readonly<Record<string, unknown>>; readonly errors?: unknown }
  if (errors !== undefined || data === undefined || !isAnswered(data)) throw new Error(`the question was not answered: ${answer.slice(0, 300)}`)
  return tookMs
}

/** Times of the answers, ms, asked for a while by `clients` at once, each one question after another. */
const askFor = async (sender: Sender, next: () => Question, clients: number, seconds: number): Promise<readonly number[]> => {
  const times: number[] = []
  const endMs = performance.now() + seconds * 1_000
  const client = async () => {
    while (performance.now() < endMs) times.push(await ask(sender, next()))
  }
  await Promise.all(Array.from({ length: clients }, client))
  return times
}

/** `--events` of the day, `--seconds` of each kind of question, `--clients 1,4`; `--profile DIR`. */
export const query = async (argv: readonly string[]): Promise<Report> => {
  const events = numberOption(argv, "events", 500_000)
  const seconds = numberOption(argv, "seconds", 5)
  const clientCounts = listOption(argv, "clients", ["1", "4"]).map(Number)
  const shape = { events, partitions: 4, lanes: 4, everyMs: DAY_MS / events, tenants: ["default"] }
  const rows = await withServer({ prepare: (dataDir) => writeLog(dataDir, shape), profileDir: textOption(argv, "profile") }, async ({ url, keys, pid }) => {
    await untilFolded(url)
    const sender = makeSender(`${url}/graphql`, keys.read)
    const found: Report["rows"][number][] = []
    let laterHours = 24
    const laterMs = () => START_MS + ++laterHours * HOUR_MS
    for (const [name, makeQuestion] of Object.entries(questions)) {
      for (const clients of clientCounts) {
        const random = makeRandom(17)
        const pageOf = makePageOf(random)
        const next = () => makeQuestion({ pageOf, below: (limit) => Math.floor(random() * limit), laterMs })
        await askFor(sender, next, clients, seconds * WARM_UP_SHARE)
        const cpuStart = cpuSecondsOf(pid)
        const times = await askFor(sender, next, clients, seconds)
        // Of the thread that answers: while other work shares the machine the clock says little.
        const mainCpuMs = ((cpuSecondsOf(pid).main - cpuStart.main) * 1_000) / times.length
        const rank = (q: number) => rounded(quantile(times, q), 2)
        found.push({ question: name, clients, answers: times.length, p50Ms: rank(0.5), p95Ms: rank(0.95), p99Ms: rank(0.99), maxMs: rank(1), mainCpuMs: known(mainCpuMs, 2) })
      }
    }
    sender.close()
    return found
  })
  return { name: "query", conditions: { ...conditions(), events, pages: 200, seconds }, rows }
}
