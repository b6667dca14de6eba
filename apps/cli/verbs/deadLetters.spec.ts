/** Dead letters against a server that answers what it is told: texts, paging and exit codes. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { runProgram } from "../program.ts"

const letter = (offset: string, code: string, more: object = {}) =>
  ({ node: { partition: 1, offset, code, pointer: "/measures/amount", foldedByVersion: null, event: { id: `e-${offset}`, type: "order.paid", time: "2026-03-01T00:00:00.000Z", data: {} }, ...more } })
let page: object = {}
let asked: object = {}

const server = createServer((req, res) => {
  let body = ""
  req.on("data", (chunk) => (body += String(chunk)))
  req.on("end", () => {
    const { variables } = JSON.parse(body) as { variables: { projection: string } }
    asked = variables
    res.setHeader("content-type", "application/json")
    res.end(JSON.stringify(variables.projection === "revenue" ? { data: { deadLetters: page } } : { errors: [{ message: "There is no projection nope.", extensions: { code: "UNKNOWN_PROJECTION" } }] }))
  })
})
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)))
afterAll(() => new Promise((resolve) => server.close(resolve)))

const run = async (...argv: string[]) => {
  const [data, notes]: [string[], string[]] = [[], []]
  const exitCode = await runProgram(["dead-letters", "ls", ...argv], {
    environment: { TIDEMARK_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, TIDEMARK_READ_KEY: "a-read-key-of-the-specification", TIDEMARK_DATA_DIR: "/nowhere" },
    output: { data: (line) => data.push(line), note: (line) => notes.push(line) },
    readStdin: async () => "", explain: () => [], logs: () => { throw new Error("not asked for") }
  })
  return { exitCode, out: data.join("\n"), notes: notes.join("\n") }
}

describe("tidemark dead-letters", () => {
  it("lists why each event could not be folded, the version that would count it, and where to go on", async () => {
    page = { edges: [letter("7", "DECIMAL_SCALE", { foldedByVersion: 2 }), letter("9", "ENVELOPE", { pointer: "", event: null })], pageInfo: { hasNextPage: true, endCursor: "next" } }
    expect(await run("revenue", "--first", "2")).toEqual({
      exitCode: 0,
      out: [
        "PLACE  EVENT  TYPE        CODE           FIELD             WHY                                 COUNTED BY",
        "1/7    e-7    order.paid  DECIMAL_SCALE  /measures/amount  more digits than the measure keeps  version 2",
        "1/9    –      –           ENVELOPE       –                 the record is no event              –"
      ].join("\n"),
      notes: "There are more: --after next\nThe shipped definition counts some of them: tidemark rebuild plan revenue"
    })
    page = { edges: [letter("11", "EXPRESSION")], pageInfo: { hasNextPage: false, endCursor: null } }
    const rest = await run("revenue", "--after", "next", "--json")
    expect([rest.notes, JSON.parse(rest.out), asked]).toMatchObject(["", { offset: "11", code: "EXPRESSION" }, { projection: "revenue", after: "next", first: 50 }])
  })

  it("says so when there is none, and ends with 2 for a projection that does not exist", async () => {
    page = { edges: [], pageInfo: { hasNextPage: false, endCursor: null } }
    expect(await run("revenue")).toEqual({ exitCode: 0, out: "", notes: "No dead letter of revenue: every event it handles could be folded." })
    expect(await run("nope")).toMatchObject({ exitCode: 2, notes: expect.stringContaining("UNKNOWN_PROJECTION") as string })
  })
})
