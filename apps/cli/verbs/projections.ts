/** projections ls, show, pause, resume: where read models stand, and the stopping of one. */
import type { Client } from "../client.ts"
import { CliError } from "../client.ts"
import type { Output } from "../output.ts"
import { plain, table } from "../output.ts"
import { durationText } from "../timeText.ts"
import { unknownProjection } from "./models.ts"

interface Halt {
  readonly code: string
  readonly detail: string
  readonly lane: number
  readonly at: string
}

interface ProjectionState {
  readonly name: string
  readonly generation: number
  readonly status: string
  readonly position: readonly { readonly partition: number; readonly offset: string }[]
  readonly lagEvents: string
  readonly rebuildOffered: boolean
  readonly watermark: string | null
  readonly lateEvents: string
  readonly deadLetters: string
  readonly halts: readonly Halt[]
  readonly staleView: { readonly view: string; readonly generation: number; readonly reason: string } | null
}

interface ProjectionDetail extends ProjectionState {
  readonly version: number
  readonly pointerVersion: number
  readonly dimensions: readonly string[]
  readonly measures: readonly string[]
  readonly outOfOrdernessMs: number
  readonly reviseWithinMs: string
  readonly definition: string
  readonly definitionHash: string
}

const STATE = "name generation status position { partition offset } lagEvents watermark lateEvents deadLetters halts { code detail lane at } staleView { view generation reason } rebuildOffered"
const PAGE = 20

/** The display form of a position: the sum of its next offsets. */
const placeOf = ({ position }: ProjectionState): string => "#" + String(position.reduce((sum, part) => sum + BigInt(part.offset), 0n))

/** What a lane says that stands still, or who has paused all of them. */
const haltLine = (name: string, { code, detail, lane, at }: Halt): string => plain(code === "PAUSED" ? `‖ ${name} paused at ${at} ${detail}` : `✗ ${name} lane ${lane} halted at ${at}: ${code}: ${detail}`)

/** What a BI tool sees meanwhile. */
const staleLines = ({ name, staleView }: ProjectionState): readonly string[] =>
  staleView === null ? [] : [plain(`! ${name}: ${staleView.view} shows generation ${staleView.generation} for now: ${staleView.reason}`)]

/** Every projection with its state; what is halted says why. */
export const projectionsLs = async (client: Client, json: boolean, output: Output): Promise<void> => {
  const { projections } = await client.graphql<{ projections: readonly ProjectionState[] }>(`{ projections { ${STATE} } }`, {})
  if (json) {
    output.data(JSON.stringify(projections))
    return
  }
  const rows = projections.map((item) => [item.name, String(item.generation), item.status.toLowerCase(), placeOf(item), item.lagEvents, item.watermark ?? "–", item.lateEvents, item.deadLetters])
  output.data(table(["NAME", "GEN", "STATUS", "POSITION", "LAG", "COMPLETE TO (UTC)", "LATE", "DEAD"], rows))
  for (const item of projections) for (const halt of item.halts) output.data(haltLine(item.name, halt))
  for (const line of projections.flatMap(staleLines)) output.data(line)
  for (const { name, rebuildOffered } of projections) if (rebuildOffered) output.note(`${name}: its shipped definition is another one than the served. What a rebuild would read: tidemark rebuild plan ${name}`)
}

interface Ledgers {
  readonly lateEvents: { readonly edges: readonly { readonly node: Readonly<Record<"eventId" | "type" | "time" | "windowStart" | "outcome", string>> & { readonly lateByMs: number } }[] }
  readonly deadLetters: { readonly edges: readonly { readonly node: { readonly partition: number; readonly offset: string; readonly code: string; readonly pointer: string } }[] }
}

const SHOW = `query ($name: String!) { projection(name: $name) {
  ${STATE} version pointerVersion dimensions measures outOfOrdernessMs reviseWithinMs definition definitionHash } }`
const LEDGERS = `query ($name: String!, $first: Int) {
  lateEvents(projection: $name, first: $first) { edges { node { eventId type time windowStart lateByMs outcome } } }
  deadLetters(projection: $name, first: $first) { edges { node { partition offset code pointer } } } }`

const showState = (item: ProjectionDetail, output: Output): void => {
  const facts: readonly (readonly [string, string])[] = [
    ["generation", `${item.generation}, version ${item.version} of the definition, pointer ${item.pointerVersion}`],
    ["status", item.status.toLowerCase()],
    ["position", `${placeOf(item)} (${item.position.map(({ partition, offset }) => `${partition}/${offset}`).join(" ")}), ${item.lagEvents} records behind`],
    ["complete to", item.watermark ?? "–"],
    ["key", item.dimensions.join(", ")],
    ["measures", item.measures.join(", ")],
    ["late", `after ${durationText(item.outOfOrdernessMs)}; counted as a correction within ${durationText(Number(item.reviseWithinMs))}, held after that`],
    ["definition", item.definitionHash]
  ]
  output.data(item.name)
  for (const [name, value] of facts) output.data(plain(`  ${name.padEnd(12)} ${value}`))
  for (const halt of item.halts) output.data(haltLine(item.name, halt))
  for (const line of staleLines(item)) output.data(line)
}

/** One projection: where it stands, what it counts, its newest late events and its dead letters. */
export const projectionsShow = async (client: Client, name: string, json: boolean, output: Output): Promise<void> => {
  const { projection } = await client.graphql<{ projection: ProjectionDetail | null }>(SHOW, { name })
  if (projection === null) throw unknownProjection(name)
  const ledgers = await client.graphql<Ledgers>(LEDGERS, { name, first: PAGE })
  const [late, dead] = [ledgers.lateEvents.edges.map(({ node }) => node), ledgers.deadLetters.edges.map(({ node }) => node)]
  if (json) {
    output.data(JSON.stringify({ ...projection, newestLateEvents: late, newestDeadLetters: dead }))
    return
  }
  showState(projection, output)
  output.data(`late events: ${projection.lateEvents}`)
  if (late.length > 0) output.data(table(["WINDOW MISSED (UTC)", "LATE BY", "OUTCOME", "TYPE", "EVENT"], late.map((one) => [one.windowStart, durationText(one.lateByMs), one.outcome.toLowerCase(), one.type, one.eventId])))
  output.data(`dead letters: ${projection.deadLetters}`)
  if (dead.length > 0) output.data(table(["PLACE", "CODE", "FIELD"], dead.map((one) => [`${one.partition}/${one.offset}`, one.code, one.pointer])))
}

export interface ProjectionFlags {
  readonly reason?: string
  readonly yes?: boolean
}

const change = async (client: Client, field: "pauseProjection" | "resumeProjection", signature: string, args: string, variables: Record<string, unknown>): Promise<ProjectionState> => {
  const answer = await client.graphql<Readonly<Record<string, ProjectionState>>>(`mutation ${signature} { ${field}${args} { ${STATE} } }`, variables, "admin")
  const projection = answer[field]
  if (projection === undefined) throw new CliError(`The server answered ${field} without a projection.`)
  return projection
}

/** Stops a live projection where it stands; it keeps answering. */
export const projectionPause = async (client: Client, name: string, { reason, yes }: ProjectionFlags, json: boolean, output: Output): Promise<void> => {
  if (reason === undefined) throw new CliError("--reason is needed: why is it paused?", 2)
  if (yes !== true) return output.note(`Would pause ${name}: it answers as it stands and falls behind until it is resumed. Nothing was changed: add --yes to do it.`)
  const paused = await change(client, "pauseProjection", "($name: String!, $reason: String!)", "(name: $name, reason: $reason)", { name, reason })
  output.data(json ? JSON.stringify(paused) : `${name} is paused. On with it: tidemark projections resume ${name} --yes`)
}

/** Lets it go on from its checkpoints. */
export const projectionResume = async (client: Client, name: string, { yes }: ProjectionFlags, json: boolean, output: Output): Promise<void> => {
  if (yes !== true) return output.note(`Would resume ${name}. Nothing was changed: add --yes to do it.`)
  const resumed = await change(client, "resumeProjection", "($name: String!)", "(name: $name)", { name })
  output.data(json ? JSON.stringify(resumed) : `${name} goes on, ${resumed.lagEvents} records behind.`)
}
