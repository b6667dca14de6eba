import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { explainConfiguration, readConfiguration } from "@tidemark/infra-wiring/configuration"
import { describe, expect, it } from "vitest"

const folder = join(import.meta.dirname, "compose")
const file = join(folder, "compose.yaml")

/** The compose program of this machine: the plugin of Docker, or the program of old. */
const compose = [["docker", "compose"], ["docker-compose"]].find(([command = "", ...args]) => spawnSync(command, [...args, "version"]).status === 0)
if (compose === undefined) process.stdout.write("the compose file is not checked, 1 test skipped: neither `docker compose` nor `docker-compose` is installed\n")

describe("the compose file", () => {
  it.skipIf(compose === undefined)("is valid, and refuses to start without keys of its own", () => {
    const [command = "", ...args] = compose ?? []
    const directory = mkdtempSync(join(tmpdir(), "tidemark-compose-"))
    try {
      const example = readFileSync(join(folder, "env.example"), "utf8")
      const check = (text: string) => {
        writeFileSync(join(directory, ".env"), text)
        return spawnSync(command, [...args, "--env-file", join(directory, ".env"), "-f", file, "config"], { encoding: "utf8", env: { PATH: process.env["PATH"] } })
      }
      const filled = check(example.replaceAll(/=$/gm, `=${"a".repeat(24)}`))
      expect(filled.stderr).toBe("")
      expect(filled.stdout).toContain("TIDEMARK_ROLES: projector,replay,alerts")
      expect(check(example).stderr).toMatch(/set it in \.env/)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it("sets variables that the configuration knows, and roles that cover all of them", () => {
    const text = readFileSync(file, "utf8")
    const environment: Record<string, string> = {}
    for (const [, name = "", value = ""] of text.matchAll(/^\s+(TIDEMARK_\w+): (.+)$/gm)) environment[name] = value.includes("${") ? "a".repeat(24) : value
    const read = (roles: string) => readConfiguration({ flags: new Map(), environment: { ...environment, TIDEMARK_ROLES: roles }, workingDirectory: folder, terminal: false })
    const known = new Set(explainConfiguration(read("ingest")).map(({ name }) => name))
    expect(Object.keys(environment).filter((name) => !known.has(name))).toEqual([])
    const roles = [...text.matchAll(/TIDEMARK_ROLES: "?([a-z,]+)"?/g)].flatMap(([, names = ""]) => read(names).roles.value)
    expect([...roles].sort()).toEqual(["alerts", "api", "dashboard", "ingest", "projector", "replay"])
  })
})
