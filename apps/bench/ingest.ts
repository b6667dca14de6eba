/** Events over HTTP into the log: how many a second, and how long until each request is acknowledged as durable. */
import autocannon from "autocannon"
import { modeOption } from "./engineSettings.ts"
import { conditions, known, listOption, median, numberOption, rounded, textOption } from "./measuring.ts"
import type { Report } from "./measuring.ts"
import { atPace, makeSender } from "./openLoop.ts"
import { makeBodies } from "./requestBodies.ts"
import { cpuSecondsOf, lagOf, untilFolded, withServer } from "./serverUnderTest.ts"
import type { ServerUnderTest } from "./serverUnderTest.ts"

/** `connections`: each sends one request after another. `perSecond`: requests at an even pace, whatever the answers. `invalid`: events of each request that are refused. */
export type Load = { readonly events: number; readonly invalid: number; readonly seconds: number } & ({ readonly connections: number } | { readonly perSecond: number })

interface Measured {
  readonly eventsPerSecond: number
  readonly requestsPerSecond: number
  readonly ackP50Ms: number
  readonly ackP99Ms: number
  readonly ackMaxMs: number
  /** Of the whole process, and of its main thread alone. */
  readonly cpuMicrosPerEvent: number
  readonly mainCpuMicrosPerEvent: number
  /** Records not yet folded when the load ended, and how long folding them took. */
  readonly lagRecords: number
  readonly catchUpMs: number
}

const WARM_UP_SECONDS = 2
/** What the answer begins with when all was accepted but what must not be. */
const asExpected = (events: number, invalid: number): string => `{"received":${events},"accepted":${events - invalid},"duplicate":0,"rejected":${invalid},`

let makers = 0

interface Sent {
  readonly acknowledged: number
  readonly seconds: number
  /** Of each request, sorted. */
  readonly acknowledgedMs: readonly number[]
}

const sortUp = (values: readonly number[]): readonly number[] => [...values].sort((a, b) => a - b)

/** Throws when anything was not accepted that had to be. */
const sendAtPace = async (server: ServerUnderTest, { events, invalid, seconds }: Load, perSecond: number): Promise<Sent> => {
  const sender = makeSender(`${server.url}/v1/events`, server.keys.write)
  const nextBody = makeBodies({ seed: 7, events, invalid, idPrefix: `b${++makers}-` })
  const expected = asExpected(events, invalid)
  const acknowledgedMs: number[] = []
  const startMs = performance.now()
  await atPace({ perSecond, seconds }, async () => {
    const body = nextBody()
    const sentMs = performance.now()
    const answer = await sender.send(body)
    acknowledgedMs.push(performance.now() - sentMs)
    if (!answer.startsWith(expected)) throw new Error(`not answered with ${expected}: ${answer.slice(0, 300)}`)
  })
  const took = (performance.now() - startMs) / 1_000
  sender.close()
  return { acknowledged: acknowledgedMs.length * (events - invalid), seconds: took, acknowledgedMs: sortUp(acknowledgedMs) }
}

/** Throws when anything was not accepted that had to be. */
const sendOnConnections = async ({ url, keys }: ServerUnderTest, { events, invalid, seconds }: Load, connections: number): Promise<Sent> => {
  const nextBody = makeBodies({ seed: 7, events, invalid, idPrefix: `b${++makers}-` })
  // Two keys in turn: each may send no more than 5,000 requests a second.
  const bearers = [keys.write, keys.admin].map((key) => `Bearer ${key}`)
  const expected = asExpected(events, invalid)
  const acknowledgedMs: number[] = []
  let requests = 0
  let acknowledged = 0
  let wrong: string | undefined
  const result = await autocannon({
    url: `${url}/v1/events`, method: "POST", connections, duration: seconds, timeout: 30,
    requests: [{
      setupRequest: (request) => ({ ...request, headers: { authorization: bearers[requests++ % bearers.length] ?? "", "content-type": "application/json" }, body: nextBody() }),
      onResponse: (status, body) => {
        if (status === 200 && body.startsWith(expected)) acknowledged += events - invalid
        else wrong ??= `${status} ${body.slice(0, 300)}`
      }
    }],
    setupClient: (client) => void client.on("response", (_status, _bytes, ms) => acknowledgedMs.push(ms))
  })
  if (wrong !== undefined || result.errors > 0) throw new Error(`not answered with ${expected}: ${wrong ?? `${result.errors} connection errors`}`)
  return { acknowledged, seconds: result.duration, acknowledgedMs: sortUp(acknowledgedMs) }
}

const send = (server: ServerUnderTest, load: Load): Promise<Sent> =>
  "connections" in load ? sendOnConnections(server, load, load.connections) : sendAtPace(server, load, load.perSecond)

export const measureIngest = async (server: ServerUnderTest, load: Load): Promise<Measured> => {
  const cpuStart = cpuSecondsOf(server.pid)
  const { acknowledged, acknowledgedMs, seconds } = await send(server, load)
  const lagRecords = await lagOf(server.url)
  const catchUpMs = await untilFolded(server.url)
  const cpuEnd = cpuSecondsOf(server.pid)
  const rank = (q: number) => acknowledgedMs[Math.max(0, Math.ceil(q * acknowledgedMs.length) - 1)] ?? NaN
  return {
    eventsPerSecond: acknowledged / seconds, requestsPerSecond: acknowledged / (load.events - load.invalid) / seconds,
    ackP50Ms: rank(0.5), ackP99Ms: rank(0.99), ackMaxMs: rank(1),
    cpuMicrosPerEvent: ((cpuEnd.all - cpuStart.all) * 1e6) / acknowledged, mainCpuMicrosPerEvent: ((cpuEnd.main - cpuStart.main) * 1e6) / acknowledged, lagRecords, catchUpMs
  }
}

const rowOf = (load: Load, done: readonly Measured[]): Report["rows"][number] => {
  const middle = (of: (measured: Measured) => number, digits = 0) => rounded(median(done.map(of)), digits)
  return {
    load: load.events === 1 ? "single events" : `batches of ${load.events}${load.invalid === 0 ? "" : `, ${load.invalid} refused`}`, sent: "connections" in load ? `on ${load.connections} connections` : `${load.perSecond} requests/s`,
    eventsPerSecond: middle((one) => one.eventsPerSecond), slowest: rounded(Math.min(...done.map((one) => one.eventsPerSecond))), fastest: rounded(Math.max(...done.map((one) => one.eventsPerSecond))),
    requestsPerSecond: middle((one) => one.requestsPerSecond), ackP50Ms: middle((one) => one.ackP50Ms, 1), ackP99Ms: middle((one) => one.ackP99Ms, 1), ackMaxMs: middle((one) => one.ackMaxMs, 1),
    cpuMicrosPerEvent: known(median(done.map((one) => one.cpuMicrosPerEvent)), 1), mainCpuMicrosPerEvent: known(median(done.map((one) => one.mainCpuMicrosPerEvent)), 1), lagRecords: middle((one) => one.lagRecords), catchUpMs: middle((one) => one.catchUpMs)
  }
}

const FORM = /^([1-9]\d*)(?:-([1-9]\d*))?([x@])([1-9]\d*)$/

const loadOf = (text: string, seconds: number): Load => {
  const [, events, invalid = "0", kind, count] = FORM.exec(text) ?? []
  if (events === undefined || Number(invalid) >= Number(events)) throw new RangeError(`--loads: ${text} is not of the form 100x8, 100@200 or, with one event of each request refused, 100-1@200`)
  return { events: Number(events), invalid: Number(invalid), seconds, ...(kind === "x" ? { connections: Number(count) } : { perSecond: Number(count) }) }
}

/** `--runs`, `--seconds` each, `--loads` as events a request, of them refused after a minus, × connections or @ requests a second; `--profile DIR`. */
export const ingest = async (argv: readonly string[]): Promise<Report> => {
  const mode = modeOption(argv)
  const runs = numberOption(argv, "runs", 3)
  const seconds = numberOption(argv, "seconds", 10)
  const loads = listOption(argv, "loads", ["100@200", "100-1@200", "1@3000", "100x8", "1x64"]).map((text) => loadOf(text, seconds))
  const rows: Report["rows"][number][] = []
  for (const load of loads) {
    const done: Measured[] = []
    for (let run = 0; run < runs; run++) {
      done.push(await withServer({ profileDir: textOption(argv, "profile"), mode }, async (server) => {
        await send(server, { ...load, seconds: Math.min(WARM_UP_SECONDS, seconds) })
        await untilFolded(server.url)
        return measureIngest(server, load)
      }))
    }
    rows.push(rowOf(load, done))
  }
  return { name: "ingest", conditions: { ...conditions(), mode, "body bytes": makeBodies({ seed: 7, events: loads[0]?.events ?? 1, idPrefix: "b1-" })().length, runs, seconds }, rows }
}
