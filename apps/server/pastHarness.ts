/**
 * Answers recorded while events flow through the real runtime, and the same questions asked again as of the positions they
 * were answered at: what the specifications of the time machine share, on whatever engines they run.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { ApiPorts } from "@tidemark/api/context"
import { makeApiHandlers } from "@tidemark/api/makeApiHandlers"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { LogRecord } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { projections } from "@tidemark/projections/registry"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { runLanes } from "@tidemark/projections/runtime/runLanes"
import { simulatedProjections } from "@tidemark/projections/simulation/oracleProjections"
import { SeededRandom } from "@tidemark/projections/simulation/random"
import { Workload } from "@tidemark/projections/simulation/workload"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"

const START_MS = Date.UTC(2026, 10, 1)
const DAY_MS = 86_400_000
const TENANTS = ["acme", "birch", "c"]
const PROVENANCE = "generation pointerVersion watermark position { partition offset }"
const FIGURES = "measures { name value text exact errorBound }"
const POINTS = `groups { key { name value } points { start end state revision corrections events ${FIGURES} } } truncated`

/** What is asked: a field and its arguments but `asOf`, as text. */
interface Asked {
  readonly tenantId: string
  readonly field: string
  readonly of: string
  readonly selection: string
}

/** A question with the answer it was given. */
export interface Recorded extends Asked {
  readonly answer: Answer
}

interface Answer {
  readonly position: readonly { readonly partition: number; readonly offset: string }[]
}

interface Point {
  readonly start: string
  readonly events: string
  readonly measures: unknown
}

interface Key {
  readonly name: string
  readonly value: string
}

interface Series extends Answer {
  readonly groups: readonly { readonly key: readonly Key[]; readonly points: readonly Point[] }[]
}

interface Changes extends Answer {
  readonly changed: number
  readonly changes: readonly { readonly key: readonly Key[]; readonly start: string; readonly before: Omit<Point, "start"> | null; readonly after: Omit<Point, "start"> | null }[]
}

/** Projections with what is asked of them. One has a small cap of keys, one holds everything late; none has retention. */
const MODELS = [
  { name: "page-views", measures: ["views", "visitors", "duration.p95", "duration.avg"], by: "page" },
  { name: "revenue", measures: ["orders", "amount", "refunds"], by: "currency" },
  { name: "event-counts", measures: ["events", "users"], by: "type" },
  { name: "sim-pages", measures: ["views", "visitors", "duration.p50", "duration.sum"], by: "page" },
  { name: "sim-types", measures: ["events", "users"], by: "type" }
] as const

const definitions = [...projections, ...simulatedProjections.map(({ definition }) => definition)].filter(({ name }) => MODELS.some((model) => model.name === name))

const time = (ms: number): string => JSON.stringify(new Date(ms).toISOString())

/** A question of any kind about what may have happened up to now. */
const question = (random: SeededRandom, nowMs: number): Asked => {
  const { name, measures, by } = random.pick(MODELS)
  const tenantId = random.pick(TENANTS)
  const resolution = random.pick(["MINUTE", "HOUR", "DAY"])
  const toMs = nowMs + random.between(0, 3_600_000)
  // Of three days the half minutes of `sim-types` fit into one answer too.
  const range = `from: ${time(toMs - random.pick([3_600_000, DAY_MS, 3 * DAY_MS]))}, to: ${time(toMs)}`
  const where = random.chance(0.2) ? `, where: [{ name: ${JSON.stringify(by)}, in: ["/a", "EUR", "order.paid", "(none)", "page.viewed"] }]` : ""
  if (random.chance(0.35)) {
    return { tenantId, field: "top", of: `projection: "${name}", measure: "${random.pick(measures)}", by: "${by}", ${range}${where}, first: 7`, selection: `${PROVENANCE} rows { value events measure { name value text exact errorBound } } truncated` }
  }
  const broken = random.chance(0.6) ? `, breakdownBy: "${by}", first: 5` : random.chance(0.2) && resolution !== "MINUTE" ? ", fill: true" : ""
  return { tenantId, field: "series", of: `projection: "${name}", measures: ${JSON.stringify(measures)}, ${range}, resolution: ${resolution}${where}${broken}`, selection: `${PROVENANCE} ${POINTS}` }
}

/** One of the windows that a series broken down by the only dimension has. */
const windowOf = (random: SeededRandom, { tenantId, of }: Asked, { groups }: Series): Asked | undefined => {
  const named = groups.filter(({ key, points }) => key.length > 0 && points.length > 0)
  if (named.length === 0 || of.includes("sim-types") || of.includes("where")) return undefined
  const { key, points } = random.pick(named)
  const [, projection = "", resolution = ""] = /projection: "([^"]+)".*resolution: (\w+)/.exec(of) ?? []
  return {
    tenantId, field: "window", selection: `${PROVENANCE} key { name value } start end state revision corrections events fingerprint ${FIGURES} why(first: 4) { expectedEvents foundEvents fingerprintMatches events { edges { node { id partition offset } } pageInfo { hasNextPage } } }`,
    of: `projection: "${projection}", key: [{ name: ${JSON.stringify(key[0]?.name)}, value: ${JSON.stringify(key[0]?.value)} }], start: ${JSON.stringify(random.pick(points).start)}, resolution: ${resolution}`
  }
}

/** The text of an answer without what depends on flushes. */
const textOf = (answer: Answer | null): string => JSON.stringify(answer, (name, value: unknown) => (name === "revision" ? undefined : value))

const placeOf = ({ position }: Answer): string => `{ position: [${position.map(({ partition, offset }) => `{ partition: ${partition}, offset: "${offset}" }`).join(", ")}] }`

const pointText = (point: Omit<Point, "start"> | null | undefined): string => (point === null || point === undefined ? "none" : `${point.events} ${JSON.stringify(point.measures)}`)

const pointsOf = ({ groups }: Series): ReadonlyMap<string, Point> =>
  new Map(groups.flatMap(({ key, points }) => points.map((point) => [`${point.start} ${key[0]?.value ?? ""}`, point] as const)))

type Ask = (asked: Asked, asOf?: string) => Promise<Answer | null>

const CHANGES_MAX = 1_000

/** Which windows changed between two recorded moments, against the two series as of them. Undefined: they agree. */
const compareChanges = async (ask: Ask, random: SeededRandom, recorded: readonly Recorded[]): Promise<PastDifference | undefined> => {
  const { name, measures, by } = random.pick(MODELS.filter((model) => model.name !== "sim-types"))
  const moments = recorded.filter(({ of }) => of.includes(`projection: "${name}"`)).map(({ answer }) => answer)
  const [before, after] = [random.pick(moments), random.pick(moments)].map(placeOf)
  const tenantId = random.pick(TENANTS)
  const of = `projection: "${name}", measures: ${JSON.stringify(measures)}, from: ${time(START_MS - 30 * DAY_MS)}, to: ${time(START_MS + 90 * DAY_MS)}, resolution: ${random.pick(["HOUR", "DAY"])}`
  const series = { tenantId, field: "series", of: `${of}, breakdownBy: "${by}", first: 1000`, selection: `position { partition offset } groups { key { name value } points { start events measures { name value text exact errorBound } } }` }
  const [then, now] = [pointsOf((await ask(series, `, asOf: ${before}`)) as Series), pointsOf((await ask(series, `, asOf: ${after}`)) as Series)]
  const figures = "{ events measures { name value text exact errorBound } }"
  const asked = { tenantId, field: "windowChanges", of: `${of}, before: ${before}, after: ${after}, first: ${CHANGES_MAX}`, selection: `changed changes { key { name value } start before ${figures} after ${figures} }` }
  const { changed, changes } = (await ask(asked)) as Changes
  const found = changes.map(({ key, start, before: old, after: made }) => `${start} ${key[0]?.value ?? ""}: ${pointText(old)} → ${pointText(made)}`).sort()
  const wanted = [...new Set([...then.keys(), ...now.keys()])].filter((place) => then.get(place)?.events !== now.get(place)?.events)
    .map((place) => `${place}: ${pointText(then.get(place))} → ${pointText(now.get(place))}`).sort()
  const isSame = changed === wanted.length && (changed > CHANGES_MAX || found.join("\n") === wanted.join("\n"))
  return isSame ? undefined : { asked: `${tenantId}: windowChanges(${asked.of})`, then: wanted.join("\n"), now: found.join("\n") }
}

const listen = Effect.fn("listen")(function* () {
  const api = makeApiHandlers({ services: yield* Effect.context<ApiPorts>(), resolveKey: (tenantId) => ({ tenantId, kind: "read" }) })
  const server = createServer((request, response) => void api.handleGraphql(request, response))
  yield* Effect.acquireRelease(Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))), () =>
    Effect.promise(async () => {
      await api.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`
  return async ({ tenantId, field, of, selection }: Asked, asOf = ""): Promise<Answer | null> => {
    const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${tenantId}` }, body: JSON.stringify({ query: `{ ${field}(${of}${asOf}) { ${selection} } }` }) })
    const { data, errors } = (await response.json()) as { readonly data?: Readonly<Record<string, Answer | null>>; readonly errors?: unknown }
    if (errors !== undefined) throw new Error(`${field}(${of}${asOf}): ${JSON.stringify(errors)}`)
    return data?.[field] ?? null
  }
})

/** A question that is answered otherwise than it has to be. */
export interface PastDifference {
  readonly asked: string
  readonly then: string
  readonly now: string
}

/** Pairs of moments that are compared. */
const PAIRS = 25

/** Events that became what, over all partitions of the projection that has the smallest caps. */
const outcomes = Effect.fn("outcomes")(function* () {
  const snapshot = yield* (yield* ReadModelStore).snapshot
  const counters = (yield* snapshot.checkpoints("sim-pages", 1)).flatMap(({ partitions }) => partitions.map((partition) => partition.counters))
  const total = (of: "applied" | "held" | "duplicate" | "deadLettered") => counters.reduce((sum, counter) => sum + Number(counter[of]), 0)
  return { applied: total("applied"), held: total("held"), duplicate: total("duplicate"), deadLettered: total("deadLettered") }
})

export interface PastFound {
  readonly outcomes: Effect.Success<ReturnType<typeof outcomes>>
  readonly answers: number
  readonly positions: number
  readonly records: number
  /** Of a question to the past. */
  readonly millisecondsEach: number
  /** Questions whose answer as of the position is another one. */
  readonly differing: readonly PastDifference[]
  readonly recorded: readonly Recorded[]
}

/** Those of the questions that are answered otherwise as of the position they were answered at. */
const differencesNow = Effect.fn("differencesNow")(function* (ask: Ask, recorded: readonly Recorded[]) {
  const differing: PastDifference[] = []
  for (const { answer, ...asked } of recorded) {
    const past = yield* Effect.promise(() => ask(asked, `, asOf: ${placeOf(answer)}`))
    if (textOf(past) !== textOf(answer)) differing.push({ asked: `${asked.tenantId}: ${asked.field}(${asked.of}) at ${placeOf(answer)}`, then: textOf(answer), now: textOf(past) })
  }
  return differing
})

/** The same on whatever engines are given, such as those of another process. */
export const askPastAgain = (recorded: readonly Recorded[]) =>
  Effect.scoped(Effect.gen(function* () {
    return yield* differencesNow(yield* listen(), recorded)
  }))

const POLL = Schedule.spaced(5)

/** Records answers at `wanted` positions at least while events flow, then asks again. Needs an empty log. */
export const compareWithPast = Effect.fn("compareWithPast")(function* (seed: number, wanted: number) {
  const log = yield* EventLog
  const { partitions, lanes } = log.identity
  const random = new SeededRandom(seed)
  const workload = new Workload(random.fork(), partitions, START_MS)
  const stored = Array.from({ length: partitions }, (): Uint8Array[] => [new Uint8Array()])
  const ask = yield* listen()
  yield* ensureGenerations(definitions)
  const stop = yield* Deferred.make<void>()
  const halts: string[] = []
  const fiber = yield* Effect.forkChild(runLanes({
    lanes: Array.from({ length: lanes }, (_, lane) => lane), stop: Deferred.await(stop), observer: { committed: () => {}, halted: ({ code, detail }) => void halts.push(`${code} ${detail}`), retrying: () => {} }
  }))
  const recorded: Recorded[] = []
  const positions = new Set<string>()
  const record = async (asked: Asked): Promise<Answer | null> => {
    const answer = await ask(asked)
    if (answer === null) return null
    recorded.push({ ...asked, answer })
    positions.add(`${/projection: "([^"]+)"/.exec(asked.of)?.[1] ?? ""} ${JSON.stringify(answer.position)}`)
    return answer
  }
  const step = Effect.gen(function* () {
    const burst: LogRecord[] = []
    for (let count = random.between(1, 8); count > 0; count--) {
      for (const { partition, value } of workload.next((from) => stored[from] ?? [])) {
        stored[partition]?.push(value)
        burst.push({ partition, key: "", value })
      }
    }
    yield* log.append(burst)
    const asked = question(random, workload.nowMs)
    const answer = yield* Effect.promise(() => record(asked))
    if (!asked.of.includes("breakdownBy")) return
    const one = windowOf(random, asked, answer as Series)
    if (one !== undefined) yield* Effect.promise(() => record(one))
  })
  yield* step.pipe(Effect.repeat({ schedule: POLL, until: () => halts.length > 0 || positions.size >= wanted }))
  const askedMs = performance.now()
  const differing = yield* differencesNow(ask, recorded)
  const millisecondsEach = (performance.now() - askedMs) / recorded.length
  for (let pair = 0; pair < PAIRS; pair++) {
    const difference = yield* Effect.promise(() => compareChanges(ask, random, recorded))
    if (difference !== undefined) differing.push(difference)
  }
  yield* Deferred.succeed(stop, undefined)
  yield* Fiber.join(fiber)
  if (halts.length > 0) return yield* Effect.die(new Error(halts.join("; ")))
  const found: PastFound = { answers: recorded.length, positions: positions.size, records: stored.reduce((sum, { length }) => sum + length, 0), millisecondsEach, outcomes: yield* outcomes(), differing, recorded }
  return found
}, Effect.scoped)
