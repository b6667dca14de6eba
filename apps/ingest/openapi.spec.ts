import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { WRITE, startIngest } from "./harness.ts"
import type { TestIngest } from "./harness.ts"
import { ROUTES } from "./routes.ts"

describe("the description of the HTTP surface", () => {
  let ingest: TestIngest
  beforeAll(async () => {
    ingest = await startIngest()
  })
  afterAll(() => ingest.close())

  it("has every route of the table, and no reference into nowhere", async () => {
    const response = await fetch(`${ingest.url}/openapi.json`)
    expect(response.headers.get("content-type")).toMatch(/^application\/json/)
    const document = (await response.json()) as { openapi: string; paths: Record<string, Record<string, { responses: object; requestBody?: { content: object } }>>; components: { schemas: Record<string, unknown> } }
    expect(document.openapi).toBe("3.1.0")
    expect(Object.keys(document.paths)).toEqual(ROUTES.map(({ path }) => path))
    expect(Object.keys(document.paths["/v1/events"]?.["post"]?.requestBody?.content ?? {})).toContain("application/cloudevents-batch+json")
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name ?? "")
    expect(references.length).toBeGreaterThan(10)
    for (const name of references) expect(Object.keys(document.components.schemas)).toContain(name)
    for (const name of Object.keys(document.components.schemas)) expect(references).toContain(name)
  })

  it("names the status and the code of what ingest answers", async () => {
    const { responses } = (ingest.handlers.openApi as { paths: Record<string, Record<string, { responses: Record<string, { description: string }> }>> }).paths["/v1/events"]?.["post"] ?? { responses: {} }
    const answers = await Promise.all([
      ingest.post("{"), ingest.post("{}", { authorization: "" }), ingest.post("{}", { authorization: "Bearer tm_rk_read" }), ingest.post("{}", { "content-type": "text/csv" }),
      ingest.post("{}", { "content-encoding": "br" }), ingest.post("{}", { "tidemark-backfill": "x" }), ingest.post("{}", {}, "?dryRun=x")
    ])
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([400, 401, 403, 415]))
    for (const { status, answer } of answers) expect(responses[String(status)]?.description).toContain(`\`${String(answer["code"])}\``)
  })

  it("is a page without scripts and without requests to anywhere", async () => {
    const response = await fetch(`${ingest.url}/docs`)
    const page = await response.text()
    expect(response.headers.get("content-security-policy")).toMatch(/^default-src 'none'; style-src 'sha256-/)
    for (const { path, answers } of ROUTES) {
      expect(page).toContain(path)
      for (const { status } of answers) expect(page).toContain(`<td>${status}</td>`)
    }
    expect(page).not.toMatch(/<script|<img|<link|<iframe|@import|url\(|(?:src|href)="(?!\/openapi\.json")/)
    expect(page).not.toContain(WRITE)
    const head = await fetch(`${ingest.url}/docs`, { method: "HEAD" })
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, String(Buffer.byteLength(page)), ""])
  })
})
