/**
 * What live traffic feels of a rebuild: acknowledgements and answers at a steady pace, in turn without and with a rebuild
 * of the stored log beside them. Pairs change their order, so that what changes slowly on the machine falls on both.
 */
import { writeLog } from "./benchLog.ts"
import { conditions, median, numberOption, quantile, rounded, textOption } from "./measuring.ts"
import type { Report } from "./measuring.ts"
import { atPace, makeSender } from "./openLoop.ts"
import type { Sender } from "./openLoop.ts"
import { makeBodies } from "./requestBodies.ts"
import { untilFolded, withServer } from "./serverUnderTest.ts"
import type { ServerUnderTest } from "./serverUnderTest.ts"

const START_MS = Date.UTC(2026, 0, 1)
const DAY_MS = 86_400_000
const BATCH = 10
/** Traffic is offered in stretches of this length until the rebuild is proved, s. */
const STRETCH_SECONDS = 1
const REBUILD_SECONDS_MAX = 600
const WORKING: readonly string[] = ["PLANNED", "PREPARING", "BUILDING", "CATCHING_UP", "VERIFYING"]

const QUESTION = Buffer.from(JSON.stringify({
  query: `query ($from: DateTime!, $to: DateTime!) { series(projection: "page-views", measures: ["views", "visitors"], from: $from, to: $to, resolution: HOUR) { groups { points { start measures { value } } } }
    top(projection: "page-views", measure: "views", by: "page", from: $from, to: $to) { rows { value events } } }`,
  variables: { from: new Date(START_MS).toISOString(), to: new Date(START_MS + DAY_MS / 4).toISOString() }
}))

interface Traffic {
  readonly ackMs: number[]
  readonly answerMs: number[]
}

interface Rebuild {
  readonly id: string
  readonly status: string
  readonly error: string | null
  readonly plan: { readonly events: string }
  readonly parity: { readonly compared: string; readonly equal: string; readonly onlyOld: string; readonly onlyNew: string; readonly faults: readonly string[] } | null
}

interface Rebuilt {
  readonly eventsPerSecond: number
  readonly isEqual: boolean
}

const makeBench = ({ url, keys }: ServerUnderTest, perSecond: number) => {
  const nextBody = makeBodies({ seed: 29, events: BATCH, idPrefix: "r-" })
  const timed = async ({ send }: Sender, body: Buffer, times: number[]): Promise<void> => {
    const startMs = performance.now()
    await send(body)
    times.push(performance.now() - startMs)
  }
  /** As many batches as questions, so many of each a second, on connections of their own: the server closes those that rest. */
  const offer = async (seconds: number, { ackMs, answerMs }: Traffic): Promise<void> => {
    const [events, questions] = [makeSender(`${url}/v1/events`, keys.write), makeSender(`${url}/graphql`, keys.read)]
    await Promise.all([atPace({ perSecond, seconds }, () => timed(events, nextBody(), ackMs)), atPace({ perSecond, seconds }, () => timed(questions, QUESTION, answerMs))])
    events.close()
    questions.close()
  }
  const change = async (text: string): Promise<Rebuild> => {
    const changes = makeSender(`${url}/graphql`, keys.admin)
    const answer = JSON.parse(await changes.send(Buffer.from(JSON.stringify({ query: text })))) as { readonly data?: Readonly<Record<string, Rebuild>> | null; readonly errors?: unknown }
    changes.close()
    const rebuild = Object.values(answer.data ?? {})[0]
    if (rebuild === undefined) throw new Error(`a rebuild was not answered: ${JSON.stringify(answer.errors)}`)
    return rebuild
  }
  const FIELDS = "{ id status error plan { events } parity { compared equal onlyOld onlyNew faults } }"
  /** Offers traffic until the rebuild is proved, and drops what it built. */
  const rebuild = async (traffic: Traffic): Promise<Rebuilt> => {
    const startMs = performance.now()
    const { id } = await change(`mutation { startRebuild(projection: "page-views", reason: "benchmark") ${FIELDS} }`)
    for (;;) {
      await offer(STRETCH_SECONDS, traffic)
      const now = await change(`{ rebuild(id: "${id}") ${FIELDS} }`)
      const seconds = (performance.now() - startMs) / 1_000
      if (WORKING.includes(now.status) && seconds < REBUILD_SECONDS_MAX) continue
      const { parity } = now
      if (parity === null) throw new Error(`the rebuild is ${now.status}: ${now.error ?? "not proved in time"}`)
      await change(`mutation { abortRebuild(id: "${id}") ${FIELDS} }`)
      return { eventsPerSecond: Number(now.plan.events) / seconds, isEqual: parity.compared === parity.equal && parity.onlyOld === "0" && parity.onlyNew === "0" && parity.faults.length === 0 }
    }
  }
  return { offer, rebuild }
}

interface Pair {
  readonly without: Traffic
  readonly during: Traffic
  readonly rebuilt: Rebuilt
}

const emptyTraffic = (): Traffic => ({ ackMs: [], answerMs: [] })

const measurePairs = async (server: ServerUnderTest, pairs: number, perSecond: number, seconds: number): Promise<readonly Pair[]> => {
  await untilFolded(server.url)
  const bench = makeBench(server, perSecond)
  // Code is compiled and caches are filled before anything counts.
  await bench.offer(Math.min(2, seconds), emptyTraffic())
  const done: Pair[] = []
  for (let at = 0; at < pairs; at++) {
    const [without, during] = [emptyTraffic(), emptyTraffic()]
    const calm = async () => {
      await untilFolded(server.url)
      await bench.offer(seconds, without)
    }
    if (at % 2 === 0) await calm()
    const rebuilt = await bench.rebuild(during)
    if (at % 2 === 1) await calm()
    done.push({ without, during, rebuilt })
  }
  return done
}

const rowOf = (what: string, pairs: readonly Pair[], of: (traffic: Traffic) => readonly number[]): Report["rows"][number] => {
  const ranks = (q: number, pick: (pair: Pair) => Traffic) => pairs.map((pair) => quantile(of(pick(pair)), q))
  const at = (q: number, pick: (pair: Pair) => Traffic) => rounded(median(ranks(q, pick)), 1)
  const [before, during] = [ranks(0.99, ({ without }) => without), ranks(0.99, (pair) => pair.during)]
  return {
    what, "without p50Ms": at(0.5, ({ without }) => without), "without p99Ms": at(0.99, ({ without }) => without), p50Ms: at(0.5, (pair) => pair.during), p99Ms: at(0.99, (pair) => pair.during),
    "p99 with / without": rounded(median(during.map((value, pair) => value / (before[pair] ?? NaN))), 2)
  }
}

/** `--events` of the log, `--pairs`, `--rate` of batches and of questions a second, `--seconds` without a rebuild, `--threads`, `--profile DIR`. */
export const rebuildLive = async (argv: readonly string[]): Promise<Report> => {
  const events = numberOption(argv, "events", 1_000_000)
  const [pairCount, perSecond, seconds] = [numberOption(argv, "pairs", 5), numberOption(argv, "rate", 20), numberOption(argv, "seconds", 10)]
  const threads = textOption(argv, "threads")
  const shape = { events, partitions: 4, lanes: 4, everyMs: DAY_MS / events, tenants: ["default"] }
  const environment: Readonly<Record<string, string>> = threads === undefined ? {} : { TIDEMARK_REBUILD_THREADS: threads }
  const pairs = await withServer({ prepare: (dataDir) => writeLog(dataDir, shape), profileDir: textOption(argv, "profile"), environment }, (server) => measurePairs(server, pairCount, perSecond, seconds))
  const equal = pairs.filter(({ rebuilt }) => rebuilt.isEqual).length
  return {
    name: "rebuild-live",
    conditions: {
      ...conditions(), events, pairs: pairCount, "batches/s": perSecond, "questions/s": perSecond, threads: threads ?? "default",
      "rebuild events/s, start to proof": rounded(median(pairs.map(({ rebuilt }) => rebuilt.eventsPerSecond))), "rows and digests equal": `${equal} of ${pairs.length}`
    },
    rows: [rowOf("ingest", pairs, ({ ackMs }) => ackMs), rowOf("queries", pairs, ({ answerMs }) => answerMs)]
  }
}
