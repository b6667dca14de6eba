/** What the command line and the dashboard send fits the schema. Their texts are read from their sources. */
import { readFileSync } from "node:fs"
import { buildSchema, parse, validate } from "graphql"
import { describe, expect, it } from "vitest"

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8")
const schema = buildSchema(read("schema.graphql"))

const constantsOf = (source: string) => [...source.matchAll(/const (\w+) = (?:"([^"]*)"|`([^`$]*)`)/g)].map(([, name = "", text, long = ""]) => [name, text ?? long] as const)
const SHARED = constantsOf(read("../cli/verbs/events.ts"))

/** Query texts of a source, with the plain constants they embed filled in. */
const queriesOf = (source: string): readonly string[] => {
  const constants = new Map([...SHARED, ...constantsOf(source)])
  const texts = [...source.matchAll(/[`"]((?:(?:query|subscription)\b|mutation \()[^`"]*\{[^`"]*|\{ \w+ \{[^`"]*)[`"]/g)].map(([, text = ""]) => text)
  return texts.map((text) => text.replaceAll(/\$\{(\w+)\}/g, (_whole, name: string) => constants.get(name) ?? `unknown constant ${name}`))
}

const CLIENTS: readonly (readonly [string, number])[] = [
  ["../cli/verbs/models.ts", 3],
  ["../cli/verbs/changes.ts", 1],
  ["../cli/verbs/facets.ts", 1],
  ["../cli/verbs/events.ts", 1],
  ["../cli/verbs/journey.ts", 2],
  ["../cli/verbs/late.ts", 2],
  ["../cli/verbs/deadLetters.ts", 1],
  ["../cli/verbs/rejected.ts", 2],
  ["../cli/verbs/projections.ts", 3],
  ["../cli/verbs/rebuilds.ts", 3],
  ["../cli/verbs/rebuildDiff.ts", 2],
  ["../cli/verbs/tail.ts", 1],
  ["../dashboard/src/data/rebuilds.ts", 5],
  ["../dashboard/src/data/questions.ts", 7],
  ["../dashboard/src/data/ledgers.ts", 5],
  ["../dashboard/src/data/audit.ts", 1],
  ["../dashboard/src/data/past.ts", 3]
]

describe("a client's queries", () => {
  it.each(CLIENTS)("of %s, at least %i, are valid", (path, least) => {
    const queries = queriesOf(read(path))
    expect(queries.length).toBeGreaterThanOrEqual(least)
    for (const query of queries) expect([query, validate(schema, parse(query)).map(({ message }) => message)]).toEqual([query, []])
  })
})
