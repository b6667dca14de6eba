import { readFileSync } from "node:fs"
import { explainConfiguration, readConfiguration } from "@tidemark/infra-wiring/configuration"
import { describe, expect, it } from "vitest"
import { flagNames, startArguments } from "./startArguments.ts"

const usage = readFileSync(new URL("./usage.txt", import.meta.url), "utf8")
const read = (...argv: readonly string[]) => startArguments(argv, usage)

describe("the arguments of a start", () => {
  it("are the settings that configuration has, all of them and no others", () => {
    const settings = explainConfiguration(readConfiguration({ flags: new Map(), environment: {}, workingDirectory: "/nowhere", terminal: false }))
    expect([...flagNames(usage)].sort()).toEqual(settings.map(({ name }) => name.replace("TIDEMARK_", "").toLowerCase().replaceAll("_", "-")).sort())
  })

  it("are values by name, in either form", () => {
    const flags = new Map([["port", "5000"], ["data-dir", "/a b=c"], ["demo", "0"]])
    expect(read("--port", "5000", "--data-dir=/a b=c", "--demo", "0")).toEqual({ kind: "flags", flags })
    expect(read()).toEqual({ kind: "flags", flags: new Map() })
  })

  it("are explained where that is asked for, whatever else is there", () => {
    for (const argv of [["--help"], ["-h"], ["--port", "1", "--help"], ["what", "-h"]]) expect(read(...argv)).toEqual({ kind: "end", exitCode: 0, text: usage })
    for (const line of usage.split("\n")) expect(line.length).toBeLessThanOrEqual(110)
  })

  it("are refused in one sentence where one is not known or has no value", () => {
    for (const [argv, sentence] of [
      [["--prot", "5000"], 'A start does not know the argument "--prot"'], [["5000"], 'A start does not know the argument "5000"'], [["-p", "1"], 'A start does not know the argument "-p"'],
      [["--port=1", "now"], 'A start does not know the argument "now"'], [["--port"], "--port needs a value"], [["--port="], "--port needs a value"], [["--demo", "--port", "1"], "--demo needs a value"]
    ] as const) expect(read(...argv)).toEqual({ kind: "end", exitCode: 2, text: `${sentence}: npm start -- --help lists what a start takes.\n` })
  })
})
