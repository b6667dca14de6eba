import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { lookForWork, noteBuilt } from "./prepare.mjs"

const BUILT = new Date("2026-01-02T00:00:00Z")
const BEFORE = new Date("2026-01-01T00:00:00Z")
const AFTER = new Date("2026-01-02T00:00:01Z")

describe("what a start finds to build", () => {
  let root: string
  const write = (path: string, text = "", at = BEFORE): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
    utimesSync(join(root, path), at, at)
  }
  const remove = (path: string): void => rmSync(join(root, path), { recursive: true })

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "tidemark-prepare-"))
    write("package.json", JSON.stringify({ workspaces: ["domain", "apps/*", "infra/*"] }))
    write("domain/package.json", JSON.stringify({ scripts: { build: "tsc -b" } }))
    for (const file of ["one", "ports/two"]) {
      write(`domain/${file}.ts`)
      write(`domain/dist/${file}.js`)
    }
    write("domain/ambient.d.ts")
    write("apps/page/package.json", JSON.stringify({ scripts: { build: "vite build" } }))
    write("apps/page/src/main.tsx")
    write("apps/page/dist/index.html")
    write("apps/page/src/fixtures/rows.ts")
    noteBuilt(root, BUILT, lookForWork(root))
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  it("is nothing after a build, nor after what is no source", () => {
    write("domain/README.md", "", AFTER)
    write("data/keys.json", "{}", AFTER)
    write("domain/dist/one.js", "", AFTER)
    expect(lookForWork(root)).toMatchObject({ why: undefined, incomplete: [] })
  })

  it("is everything before the first build", () => {
    remove("node_modules")
    expect(lookForWork(root).why).toBe("nothing is built yet")
  })

  it.each(["domain/ports/two.ts", "apps/page/src/fixtures/rows.ts", "package.json"])("is a change of %s", (path) => {
    utimesSync(join(root, path), AFTER, AFTER)
    expect(lookForWork(root)).toMatchObject({ why: `${path} changed`, incomplete: [] })
  })

  it("is a change made while the build ran", () => {
    const work = lookForWork(root)
    utimesSync(join(root, "domain/one.ts"), AFTER, AFTER)
    noteBuilt(root, BUILT, work)
    expect(lookForWork(root).why).toBe("domain/one.ts changed")
  })

  it("is a source that was removed, or added with an old time", () => {
    remove("domain/one.ts")
    expect(lookForWork(root).why).toBe("a source was added or removed")
    write("domain/one.ts")
    expect(lookForWork(root).why).toBeUndefined()
    write("apps/page/src/more.tsx")
    expect(lookForWork(root).why).toBe("a source was added or removed")
  })

  it("is an output folder that was removed, or a single file of it", () => {
    remove("domain/dist/ports/two.js")
    expect(lookForWork(root)).toMatchObject({ why: "domain/dist/ports/two.js is missing", incomplete: ["domain"] })
    remove("domain/dist")
    remove("apps/page/dist")
    expect(lookForWork(root)).toMatchObject({ why: "domain/dist/one.js is missing", incomplete: ["domain", "apps/page"] })
  })
})
