/** dead-letters ls: accepted events that a projection could not fold. */
import type { Client } from "../client.ts"
import type { Output } from "../output.ts"
import { table } from "../output.ts"

interface DeadLetter {
  readonly partition: number
  readonly offset: string
  readonly code: string
  readonly pointer: string
  /** Version of the shipped definition, where a rebuild with it would count the event. */
  readonly foldedByVersion: number | null
  readonly event: { readonly id: string; readonly type: string; readonly time: string } | null
}

interface DeadLetterPage {
  readonly edges: readonly { readonly node: DeadLetter }[]
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
}

const DEAD_LETTERS = `query ($projection: String!, $first: Int, $after: String) {
  deadLetters(projection: $projection, first: $first, after: $after) { edges { node { partition offset code pointer foldedByVersion event { id type time data } } } pageInfo { hasNextPage endCursor } } }`

const REASONS: Readonly<Record<string, string>> = {
  ENVELOPE: "the record is no event", EXPRESSION: "a value of another type", MEASURE_MISSING: "a measure it must have is missing", DECIMAL_SCALE: "more digits than the measure keeps",
  UNSAFE_INTEGER: "a number beyond ±(2⁵³ − 1)", UPCAST: "cannot be brought to the version that is wanted", WINDOW_EXPIRED: "imported into a window that retention has dropped"
}

/** Dead letters in log order: why each could not be folded, and whether the shipped definition would count it. */
export const deadLettersLs = async (client: Client, projection: string, { first, after }: { readonly first: number; readonly after?: string }, json: boolean, output: Output): Promise<void> => {
  const { deadLetters } = await client.graphql<{ readonly deadLetters: DeadLetterPage }>(DEAD_LETTERS, { projection, first, after: after ?? null })
  const letters = deadLetters.edges.map(({ node }) => node)
  const { hasNextPage, endCursor } = deadLetters.pageInfo
  if (json) for (const letter of letters) output.data(JSON.stringify(letter))
  else if (letters.length > 0) {
    const rows = letters.map(({ partition, offset, code, pointer, foldedByVersion, event }) =>
      [`${partition}/${offset}`, event?.id ?? "–", event?.type ?? "–", code, pointer === "" ? "–" : pointer, REASONS[code] ?? "–", foldedByVersion === null ? "–" : `version ${foldedByVersion}`])
    output.data(table(["PLACE", "EVENT", "TYPE", "CODE", "FIELD", "WHY", "COUNTED BY"], rows))
  } else output.note(`No dead letter of ${projection}: every event it handles could be folded.`)
  if (hasNextPage) output.note(`There are more: --after ${endCursor ?? ""}`)
  if (letters.some(({ foldedByVersion }) => foldedByVersion !== null)) output.note(`The shipped definition counts some of them: tidemark rebuild plan ${projection}`)
}
