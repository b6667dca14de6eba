import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { makeHostGuard } from "./hostGuard.ts"
import { readKeyFile, writeKeyFile } from "./keyFile.ts"
import { makeStaticHandler } from "./staticFiles.ts"

describe("the host guard", () => {
  it("lets loopback names and the configured one pass, with or without a port, and nothing else", () => {
    const allowed = makeHostGuard("tidemark.example")
    for (const host of ["localhost:4000", "127.0.0.1", "[::1]:4000", "Tidemark.Example:80"]) expect(allowed(host)).toBe(true)
    for (const host of [undefined, "", "evil.example", "localhost.evil.example:4000", "127.0.0.1.evil.example"]) expect(allowed(host)).toBe(false)
  })
})

describe("files", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-files-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it("of the page are served with a strict policy, and nothing outside their folder is", async () => {
    const folder = join(directory, "dist")
    mkdirSync(join(folder, "assets"), { recursive: true })
    writeFileSync(join(folder, "index.html"), "<p>page</p>")
    writeFileSync(join(folder, "assets", "a.js"), "1")
    writeFileSync(join(directory, "secret"), "canary")
    const serve = makeStaticHandler(folder)
    const server = createServer((request, response) => {
      if (!serve(request, response, (request.url ?? "").split("?")[0] ?? "")) response.writeHead(404).end()
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      const page = await fetch(url + "/")
      expect([page.status, await page.text(), page.headers.get("cache-control")]).toEqual([200, "<p>page</p>", "no-store"])
      expect(page.headers.get("content-security-policy")).toMatch(/default-src 'self'/)
      expect((await fetch(url + "/assets/a.js")).headers.get("cache-control")).toMatch(/immutable/)
      for (const path of ["/%2e%2e/secret", "/..%2fsecret", "/missing", "/assets", "/%E0%A4%A", "/%00"]) expect((await fetch(url + path)).status).toBe(404)
      expect((await fetch(url + "/", { method: "POST" })).status).toBe(404)
    } finally {
      server.close()
    }
  })

  it("with local keys can be read by their owner only", () => {
    expect(readKeyFile(directory)).toEqual({})
    const keys = { default: { write: "w", read: "r", admin: "a" } }
    writeKeyFile(directory, keys)
    expect(readKeyFile(directory)).toEqual(keys)
    expect(statSync(join(directory, "keys.json")).mode & 0o777).toBe(0o600)
  })
})
