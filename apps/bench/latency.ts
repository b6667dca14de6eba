/** From an event sent to the subscription message that counts it, at steady rates of single events. */
import { modeOption } from "./engineSettings.ts"
import { conditions, known, listOption, median, numberOption, quantile, rounded, textOption } from "./measuring.ts"
import type { Report } from "./measuring.ts"
import { atPace, makeSender } from "./openLoop.ts"
import { makeBodies } from "./requestBodies.ts"
import { cpuSecondsOf, withServer } from "./serverUnderTest.ts"
import type { ServerUnderTest } from "./serverUnderTest.ts"
import { subscribe } from "./subscriber.ts"

const WARM_UP_SECONDS = 2
/** How long events may be missing after the last one was sent. */
const MISSING_MS_MAX = 30_000

interface Measured {
  readonly latenciesMs: readonly number[]
  readonly messages: number
  readonly cpuShare: number
}

/** The k-th event that the series counts is taken for the k-th that was sent: which of two sent together came first does not matter. */
const measure = async (server: ServerUnderTest, rate: number, seconds: number): Promise<Measured> => {
  const sentMs: number[] = []
  const latenciesMs: number[] = []
  let onProgress = () => {}
  const subscription = await subscribe(server, (total) => {
    const nowMs = performance.now()
    while (latenciesMs.length < total) latenciesMs.push(nowMs - (sentMs[latenciesMs.length] ?? NaN))
    onProgress()
  })
  const sender = makeSender(`${server.url}/v1/events`, server.keys.write)
  const nextBody = makeBodies({ seed: 11, events: 1, idPrefix: "l-" })
  const sendOne = async () => {
    sentMs.push(performance.now())
    await sender.send(nextBody())
  }
  /** Waits until the subscriber has been told of everything sent. */
  const allCounted = () => new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${latenciesMs.length} of ${sentMs.length} events reached the subscriber`)), MISSING_MS_MAX)
    onProgress = () => {
      if (latenciesMs.length < sentMs.length) return
      clearTimeout(timer)
      resolve()
    }
    onProgress()
  })
  await atPace({ perSecond: rate, seconds: Math.min(WARM_UP_SECONDS, seconds) }, sendOne)
  // A server that has just started may still wait for its lanes, each for itself: what is measured is one that folds all of them.
  await allCounted()
  const warmUp = sentMs.length
  const [startMs, cpuStart, messagesStart] = [performance.now(), cpuSecondsOf(server.pid), subscription.messages()]
  await atPace({ perSecond: rate, seconds }, sendOne)
  const wallSeconds = (performance.now() - startMs) / 1_000
  await allCounted()
  const measured = { latenciesMs: latenciesMs.slice(warmUp), messages: subscription.messages() - messagesStart, cpuShare: (cpuSecondsOf(server.pid).all - cpuStart.all) / wallSeconds }
  await subscription.close()
  sender.close()
  return measured
}

/** Medians over the runs. */
const rowOf = (rate: number, runs: readonly Measured[]): Report["rows"][number] => {
  const middle = (figure: (run: Measured) => number): number => median(runs.map(figure))
  const rank = (q: number): number => rounded(middle(({ latenciesMs }) => quantile(latenciesMs, q)), 1)
  return {
    "sent/s": rate, events: middle(({ latenciesMs }) => latenciesMs.length), p50Ms: rank(0.5), p95Ms: rank(0.95), p99Ms: rank(0.99), maxMs: rank(1),
    slowestP95Ms: rounded(Math.max(...runs.map(({ latenciesMs }) => quantile(latenciesMs, 0.95))), 1), messages: middle(({ messages }) => messages), cpuPercent: known(middle(({ cpuShare }) => 100 * cpuShare)), runs: runs.length
  }
}

/** `--rates 100,1000`, `--seconds` at each, `--runs` of each, `--profile DIR`, `--mode embedded|distributed`. */
export const latency = async (argv: readonly string[]): Promise<Report> => {
  const mode = modeOption(argv)
  const [seconds, runs] = [numberOption(argv, "seconds", 20), numberOption(argv, "runs", 1)]
  const rows: Report["rows"][number][] = []
  for (const rate of listOption(argv, "rates", ["100", "1000"]).map(Number)) {
    if (!(rate > 0)) throw new RangeError("--rates needs numbers above 0")
    const measured: Measured[] = []
    for (let run = 0; run < runs; run++) measured.push(await withServer({ profileDir: textOption(argv, "profile"), mode }, (server) => measure(server, rate, seconds)))
    rows.push(rowOf(rate, measured))
  }
  return { name: "latency", conditions: { ...conditions(), mode, subscribers: 1, seconds }, rows }
}
