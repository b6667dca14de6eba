/** Events over HTTP into the log: how many a second, and how long until each request is acknowledged as durable. */
import autocannon from "autocannon"
import { conditions, known, listOption, median, numberOption, rounded, textOption } from "./measuring.ts"
import type { Report } from "./measuring.ts"
import { makeBodies } from "./requestBodies.ts"
import { cpuSecondsOf, lagOf, untilFolded, withServer } from "./serverUnderTest.ts"
import type { ServerUnderTest } from "./serverUnderTest.ts"

export interface Load {
  /** Events a request carries. */
  readonly events: number
  readonly connections: number
  readonly seconds: number
}

interface Measured {
  readonly eventsPerSecond: number
  readonly requestsPerSecond: number
  readonly ackP50Ms: number
  readonly ackP99Ms: number
  readonly ackMaxMs: number
  readonly cpuMicrosPerEvent: number
  /** Records not yet folded when the load ended, and how long folding them took. */
  readonly lagRecords: number
  readonly catchUpMs: number
}

const WARM_UP_SECONDS = 2
const FULLY_ACCEPTED = /^\{"received":(\d+),"accepted":\1,/

let makers = 0

/** Sends for a while, each connection one request after another; answers the acknowledged events beside the client's result. Throws when anything was not accepted. */
const send = async ({ url, keys }: ServerUnderTest, { events, connections, seconds }: Load) => {
  const nextBody = makeBodies({ seed: 7, events, idPrefix: `b${++makers}-` })
  // Two keys in turn: each may send no more than 5,000 requests a second.
  const bearers = [keys.write, keys.admin].map((key) => `Bearer ${key}`)
  const acknowledgedMs: number[] = []
  let requests = 0
  let acknowledged = 0
  let wrong: string | undefined
  const result = await autocannon({
    url: `${url}/v1/events`, method: "POST", connections, duration: seconds, timeout: 30,
    requests: [{
      setupRequest: (request) => ({ ...request, headers: { authorization: bearers[requests++ % bearers.length] ?? "", "content-type": "application/json" }, body: nextBody() }),
      onResponse: (status, body) => {
        if (status === 200 && FULLY_ACCEPTED.test(body)) acknowledged += events
        else wrong ??= `${status} ${body.slice(0, 300)}`
      }
    }],
    setupClient: (client) => void client.on("response", (_status, _bytes, ms) => acknowledgedMs.push(ms))
  })
  if (wrong !== undefined || result.errors > 0) throw new Error(`not every event was accepted: ${wrong ?? `${result.errors} connection errors`}`)
  acknowledgedMs.sort((a, b) => a - b)
  return { acknowledged, seconds: result.duration, acknowledgedMs }
}

export const measureIngest = async (server: ServerUnderTest, load: Load): Promise<Measured> => {
  const cpuStart = cpuSecondsOf(server.pid)
  const { acknowledged, acknowledgedMs, seconds } = await send(server, load)
  const lagRecords = await lagOf(server.url)
  const catchUpMs = await untilFolded(server.url)
  const rank = (q: number) => acknowledgedMs[Math.max(0, Math.ceil(q * acknowledgedMs.length) - 1)] ?? NaN
  return {
    eventsPerSecond: acknowledged / seconds, requestsPerSecond: acknowledged / load.events / seconds,
    ackP50Ms: rank(0.5), ackP99Ms: rank(0.99), ackMaxMs: rank(1),
    cpuMicrosPerEvent: ((cpuSecondsOf(server.pid) - cpuStart) * 1e6) / acknowledged, lagRecords, catchUpMs
  }
}

const rowOf = ({ events, connections }: Load, done: readonly Measured[]): Report["rows"][number] => {
  const middle = (of: (measured: Measured) => number, digits = 0) => rounded(median(done.map(of)), digits)
  return {
    load: events === 1 ? "single events" : `batches of ${events}`, connections,
    eventsPerSecond: middle((one) => one.eventsPerSecond), slowest: rounded(Math.min(...done.map((one) => one.eventsPerSecond))), fastest: rounded(Math.max(...done.map((one) => one.eventsPerSecond))),
    requestsPerSecond: middle((one) => one.requestsPerSecond), ackP50Ms: middle((one) => one.ackP50Ms, 1), ackP99Ms: middle((one) => one.ackP99Ms, 1), ackMaxMs: middle((one) => one.ackMaxMs, 1),
    cpuMicrosPerEvent: known(median(done.map((one) => one.cpuMicrosPerEvent)), 1), lagRecords: middle((one) => one.lagRecords), catchUpMs: middle((one) => one.catchUpMs)
  }
}

/** `--runs`, `--seconds` each, `--loads` as events×connections, for example `100x8,1x64`; `--profile DIR`. */
export const ingest = async (argv: readonly string[]): Promise<Report> => {
  const runs = numberOption(argv, "runs", 3)
  const seconds = numberOption(argv, "seconds", 10)
  const loads = listOption(argv, "loads", ["100x8", "1x64"]).map((text): Load => {
    const [, events, connections] = /^([1-9]\d*)x([1-9]\d*)$/.exec(text) ?? []
    if (events === undefined) throw new RangeError(`--loads: ${text} is not of the form 100x8`)
    return { events: Number(events), connections: Number(connections), seconds }
  })
  const rows: Report["rows"][number][] = []
  for (const load of loads) {
    const done: Measured[] = []
    for (let run = 0; run < runs; run++) {
      done.push(await withServer({ profileDir: textOption(argv, "profile") }, async (server) => {
        await send(server, { ...load, seconds: Math.min(WARM_UP_SECONDS, seconds) })
        await untilFolded(server.url)
        return measureIngest(server, load)
      }))
    }
    rows.push(rowOf(load, done))
  }
  return { name: "ingest", conditions: { ...conditions(), "body bytes": makeBodies({ seed: 7, events: loads[0]?.events ?? 1, idPrefix: "b1-" })().length, runs, seconds }, rows }
}
