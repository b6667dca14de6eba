import { existsSync, readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
const SKIPPED = new Set(["node_modules", "dist", ".git", ".nx", ".tidemark", "coverage"])
const CITATION = /\bdocs\/([A-Za-z0-9/_-]+\.md)(?: §(\d+))?/g

const sources = (directory: string): string[] =>
  readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name)) return []
    const path = join(directory, entry.name)
    return entry.isDirectory() ? sources(path) : /\.(ts|tsx|mjs|md)$/.test(entry.name) ? [path] : []
  })

/** What the file cites that is not there. */
const missingIn = (path: string): string[] =>
  [...readFileSync(path, "utf8").matchAll(CITATION)].flatMap(([cited, name = "", section]) => {
    const page = join(ROOT, "docs", name)
    if (!existsSync(page)) return [`${path.slice(ROOT.length)}: ${cited}`]
    return section === undefined || new RegExp(`^## ${section}\\. `, "m").test(readFileSync(page, "utf8")) ? [] : [`${path.slice(ROOT.length)}: ${cited}`]
  })

describe("the documentation that code cites", () => {
  it("exists, with the section that is named", () => {
    const files = sources(ROOT)
    expect(files.length).toBeGreaterThan(500)
    expect(files.flatMap(missingIn)).toEqual([])
  })
})
