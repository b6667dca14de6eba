/** From an event sent to the subscription message that counts it, at steady rates of single events. */
import { Agent, request } from "node:http"
import { conditions, known, listOption, numberOption, quantile, rounded, textOption } from "./measuring.ts"
import type { Report } from "./measuring.ts"
import { makeBodies } from "./requestBodies.ts"
import { cpuSecondsOf, withServer } from "./serverUnderTest.ts"
import type { ServerUnderTest } from "./serverUnderTest.ts"
import { subscribe } from "./subscriber.ts"

const SEND_EVERY_MS = 2
const CONNECTIONS = 64
const WARM_UP_SECONDS = 2
/** How long events may be missing after the last one was sent. */
const MISSING_MS_MAX = 30_000

interface Sender {
  /** One event, on its way when this returns; resolves once it is acknowledged. */
  readonly send: () => Promise<void>
  readonly close: () => void
}

const makeSender = ({ url, keys }: ServerUnderTest): Sender => {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  const nextBody = makeBodies({ seed: 11, events: 1, idPrefix: "l-" })
  const send = () =>
    new Promise<void>((resolve, reject) => {
      const body = nextBody()
      const headers = { authorization: `Bearer ${keys.write}`, "content-type": "application/json", "content-length": body.length }
      request(`${url}/v1/events`, { method: "POST", agent, headers }, (response) => {
        response.resume()
        response.on("end", () => (response.statusCode === 200 ? resolve() : reject(new Error(`an event was answered with ${response.statusCode ?? ""}`))))
      }).on("error", reject).end(body)
    })
  return { send, close: () => agent.destroy() }
}

/** Sends at the rate, whatever the answers; when each was sent. */
const sendAtRate = async ({ send }: Sender, rate: number, seconds: number, onSent: () => void): Promise<void> => {
  const answers: Promise<void>[] = []
  const startMs = performance.now()
  while (answers.length < rate * seconds) {
    const due = Math.min(rate * seconds, Math.ceil(((performance.now() - startMs) / 1_000) * rate))
    while (answers.length < due) {
      onSent()
      answers.push(send())
    }
    await new Promise((resolve) => setTimeout(resolve, SEND_EVERY_MS))
  }
  await Promise.all(answers)
}

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
  const sender = makeSender(server)
  const onSent = () => void sentMs.push(performance.now())
  await sendAtRate(sender, rate, Math.min(WARM_UP_SECONDS, seconds), onSent)
  const warmUp = sentMs.length
  const [startMs, cpuStart, messagesStart] = [performance.now(), cpuSecondsOf(server.pid), subscription.messages()]
  await sendAtRate(sender, rate, seconds, onSent)
  const wallSeconds = (performance.now() - startMs) / 1_000
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${latenciesMs.length} of ${sentMs.length} events reached the subscriber`)), MISSING_MS_MAX)
    onProgress = () => {
      if (latenciesMs.length < sentMs.length) return
      clearTimeout(timer)
      resolve()
    }
    onProgress()
  })
  const measured = { latenciesMs: latenciesMs.slice(warmUp), messages: subscription.messages() - messagesStart, cpuShare: (cpuSecondsOf(server.pid) - cpuStart) / wallSeconds }
  await subscription.close()
  sender.close()
  return measured
}

/** `--rates 100,1000`, `--seconds` at each, `--profile DIR`. */
export const latency = async (argv: readonly string[]): Promise<Report> => {
  const seconds = numberOption(argv, "seconds", 20)
  const rows: Report["rows"][number][] = []
  for (const rate of listOption(argv, "rates", ["100", "1000"]).map(Number)) {
    if (!(rate > 0)) throw new RangeError("--rates needs numbers above 0")
    const { latenciesMs, messages, cpuShare } = await withServer({ profileDir: textOption(argv, "profile") }, (server) => measure(server, rate, seconds))
    const rank = (q: number) => rounded(quantile(latenciesMs, q), 1)
    rows.push({ "sent/s": rate, events: latenciesMs.length, p50Ms: rank(0.5), p95Ms: rank(0.95), p99Ms: rank(0.99), maxMs: rank(1), messages, cpuPercent: known(100 * cpuShare) })
  }
  return { name: "latency", conditions: { ...conditions(), subscribers: 1, seconds }, rows }
}
