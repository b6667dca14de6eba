/** Bulk load of a file through the real ingest, marked as a backfill, with progress. */
import { statSync } from "node:fs"
import type { Client, Problem } from "../client.ts"
import { CliError, jsonOf, refusalOf } from "../client.ts"
import type { ImportLine, ImportOptions } from "./toEvents.ts"
import { STANDARD_INPUT } from "./readLines.ts"
import { toEvents } from "./toEvents.ts"

export interface ImportReport {
  readonly name: string
  readonly lines: number
  readonly accepted: number
  readonly duplicate: number
  readonly rejected: number
  /** At most 100 of them, by line number. */
  readonly problems: readonly { readonly line: number; readonly code: string; readonly detail: string }[]
  readonly seconds: number
}

const BATCH_EVENTS_MAX = 500
const BATCH_BYTES_MAX = 2 * 1024 * 1024
/** Lines of the file one batch may span. */
const BATCH_SPAN_MAX = 10_000
const PROBLEMS_MAX = 100
/** Refused lines that are named while it runs; more are counted only. */
const NAMED_MAX = 20
const ATTEMPTS_MAX = 8
const PROGRESS_EVERY_MS = 5_000

interface Answer {
  readonly accepted: number
  readonly duplicate: number
  readonly rejected: number
  readonly results: readonly { readonly status: string; readonly code?: string; readonly detail?: string }[]
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** The lines as NDJSON, each as far below the first as in the file: ingest counts on from the first one's number. */
const bodyOf = (lines: readonly ImportLine[]): string => {
  let at = lines[0]?.number ?? 1
  let body = ""
  for (const { number, body: line } of lines) {
    body += "\n".repeat(number - at) + line
    at = number
  }
  return body
}

/** Why an import cannot go on; with a wrong key it has not begun. */
const stopped = (lines: readonly ImportLine[], status: number, problem: Problem): CliError => {
  const { message, exitCode, reason } = refusalOf(status, problem, "admin")
  const text = status === 401 || status === 403 ? message : `Lines ${lines[0]?.number}–${lines.at(-1)?.number}: ${message} What was accepted stays; run the same import again to go on.`
  return new CliError(text, exitCode, reason === undefined ? {} : { reason })
}

/** Sends one batch; waits and repeats on 429 and 503, which is safe because every line has an id. */
const send = async (client: Client, name: string, lines: readonly ImportLine[], progress: (line: string) => void): Promise<Answer> => {
  const headers = { authorization: `Bearer ${client.keyFor("admin")}`, "content-type": "application/x-ndjson", "tidemark-backfill": encodeURIComponent(name), "tidemark-backfill-line": String(lines[0]?.number ?? 1) }
  const body = bodyOf(lines)
  for (let attempt = 1; ; attempt++) {
    const response = await client.request("/v1/events", { method: "POST", headers, body })
    if (response.ok) return jsonOf<Answer>(response)
    const problem = (await response.json().catch(() => ({}))) as Problem & Partial<Answer>
    if (response.status === 422 && problem.results !== undefined) return problem as Answer
    const again = response.status === 429 || response.status === 503
    if (!again || attempt === ATTEMPTS_MAX) throw stopped(lines, response.status, problem)
    const waitSeconds = Number(response.headers.get("retry-after") ?? "1")
    progress(`${problem.detail ?? "the server takes nothing at the moment"} (${problem.code ?? response.status}): again in ${waitSeconds} s`)
    await pause(waitSeconds * 1_000)
  }
}

/** The lines; a file that cannot be read to its end is an error that says what was reached. */
async function* readable(path: string, lines: AsyncIterable<ImportLine>): AsyncGenerator<ImportLine> {
  let last = 0
  const iterator = lines[Symbol.asyncIterator]()
  for (;;) {
    const step = await iterator.next().catch((error: Error) => {
      throw error instanceof CliError ? error : new CliError(`${path} cannot be read beyond line ${last}: ${error.message}. What was accepted stays; repair the file and run the same import again to go on.`)
    })
    if (step.done === true) return
    last = step.value.number
    yield step.value
  }
}

/** Bytes of the file; 0 where they are not known beforehand. */
const sizeOf = (path: string): number => (path === STANDARD_INPUT ? 0 : statSync(path).size)

/** Imports the file, or standard input for `-`; `progress` gets a line every 5 s at most, and the first 20 refused lines at once. */
export const importFile = async (client: Client, path: string, options: ImportOptions, progress: (line: string) => void): Promise<ImportReport> => {
  const totalBytes = sizeOf(path)
  const startedMs = performance.now()
  const report = { name: options.name, lines: 0, accepted: 0, duplicate: 0, rejected: 0, problems: [] as { line: number; code: string; detail: string }[] }
  let [readBytes, refused] = [0, 0]
  let shownMs = startedMs
  let batch: ImportLine[] = []
  let batchBytes = 0

  const flush = async () => {
    if (batch.length === 0) return
    const answer = await send(client, options.name, batch, progress)
    report.accepted += answer.accepted
    report.duplicate += answer.duplicate
    report.rejected += answer.rejected
    answer.results.forEach((result, index) => {
      const line = batch[index]
      if (result.status !== "rejected" || line === undefined) return
      const problem = { line: line.number, code: result.code ?? "rejected", detail: line.problem ?? result.detail ?? "" }
      refused += 1
      if (refused <= NAMED_MAX) progress(`line ${problem.line}: ${problem.code}: ${problem.detail}`)
      if (refused === NAMED_MAX + 1) progress("more lines are refused: tidemark rejected ls lists them")
      if (report.problems.length < PROBLEMS_MAX) report.problems.push(problem)
    })
    batch = []
    batchBytes = 0
    if (performance.now() - shownMs >= PROGRESS_EVERY_MS) {
      shownMs = performance.now()
      const share = totalBytes === 0 ? "" : `${((100 * readBytes) / totalBytes).toFixed(0).padStart(3)} %  `
      progress(`${share}${report.lines} lines  ${Math.round(report.lines / ((shownMs - startedMs) / 1_000))} lines/s`)
    }
  }

  const fits = (line: ImportLine, bytes: number): boolean => {
    const gap = line.number - (batch.at(-1)?.number ?? line.number - 1)
    return batch.length < BATCH_EVENTS_MAX && batchBytes + bytes <= BATCH_BYTES_MAX && gap > 0 && line.number - (batch[0]?.number ?? line.number) < BATCH_SPAN_MAX
  }
  for await (const line of readable(path, toEvents(path, options, (bytes) => (readBytes += bytes)))) {
    report.lines += 1
    const bytes = Buffer.byteLength(line.body)
    if (!fits(line, bytes)) await flush()
    batch.push(line)
    batchBytes += bytes
  }
  await flush()
  return { ...report, seconds: Math.round(performance.now() - startedMs) / 1_000 }
}
