import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const ENDING = /skipped: browser tests: \/nowhere\/chromium is not installed\n\n(\d+) passed, 0 failed, (\d+) skipped\n$/

/** Without what this run itself told its own processes. */
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|TEST|NODE_ENV)/.test(name)))

describe("the closing line", () => {
  it("counts every browser test as skipped where there is no Chromium, and says why", () => {
    const script = `import { makeSuite } from "${join(import.meta.dirname, "suite.mjs")}"; const suite = makeSuite(); suite.browserTests(); suite.close()`
    const { status, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { env: { ...environment, CHROMIUM_PATH: "/nowhere/chromium" }, encoding: "utf8" })
    const [, passed, skipped] = ENDING.exec(stdout) ?? []
    expect(status, stdout).toBe(0)
    expect(passed, stdout).toBe("0")
    expect(Number(skipped)).toBeGreaterThan(5)

    const directory = mkdtempSync(join(tmpdir(), "tidemark-closing-"))
    writeFileSync(join(directory, "one"), "3 passed, 0 failed\n")
    writeFileSync(join(directory, "two"), stdout)
    const sum = spawnSync(process.execPath, [join(import.meta.dirname, "closing.mjs"), join(directory, "one"), join(directory, "two")], { encoding: "utf8" })
    rmSync(directory, { recursive: true, force: true })
    expect(sum.stdout).toMatch(ENDING)
    expect(sum.stdout).toContain(`\n3 passed, 0 failed, ${skipped} skipped\n`)
  })
})
