/** health, doctor, log info, verify, config explain. */
import { accessSync, constants, existsSync, mkdirSync, statfsSync } from "node:fs"
import { createServer } from "node:net"
import { resolve } from "node:path"
import type { Client } from "../client.ts"
import { CliError } from "../client.ts"
import type { Output } from "../output.ts"
import { plain, table } from "../output.ts"

/** The parts of /readyz; exit 1 when one is not ready. */
export const health = async (client: Client, json: boolean, output: Output): Promise<void> => {
  const response = await client.request("/readyz")
  const answer = (await response.json()) as { ready: boolean; parts: { name: string; ready: boolean; detail: string }[] }
  if (json) output.data(JSON.stringify(answer))
  else for (const part of answer.parts) output.data(`${part.ready ? "✓" : "✗"} ${part.name}  ${part.detail}`)
  if (!answer.ready) throw new CliError("Not ready.")
}

const admin = async <T>(client: Client, path: string, method: "GET" | "POST"): Promise<T> => {
  const response = await client.request(path, { method, headers: { authorization: `Bearer ${client.keyFor("admin")}` } })
  const answer = (await response.json()) as T & { code?: string; detail?: string }
  if (!response.ok) throw new CliError(`${response.status} ${answer.code ?? ""}: ${answer.detail ?? ""}`)
  return answer
}

interface LogInfo {
  readonly logId: string
  readonly partitions: number
  readonly lanes: number
  readonly createdAt: string
  readonly bounds: readonly { partition: number; start: string; end: string }[]
}

/** Identity, partitions, lanes and bounds of the log. */
export const logInfo = async (client: Client, json: boolean, output: Output): Promise<void> => {
  const info = await admin<LogInfo>(client, "/v1/log", "GET")
  if (json) {
    output.data(JSON.stringify(info))
    return
  }
  output.data(`log ${info.logId}  created ${info.createdAt}  ${info.partitions} partitions  ${info.lanes} lanes`)
  output.data(table(["PARTITION", "START", "END"], info.bounds.map((part) => [String(part.partition), part.start, part.end])))
}

interface Comparison {
  readonly compared: number
  readonly differing: number
  readonly missing: number
  readonly extra: number
}

interface ModelCheck extends Readonly<Record<"late" | "duplicates" | "deadLetters" | "checkpoints" | "digests" | "keyCounts", Comparison>> {
  readonly projection: string
  readonly generation: number
  readonly records: number
  readonly rows: Readonly<Record<"minute" | "hour" | "day", Comparison>>
  readonly modelDigest: string | null
  readonly error: string | null
  readonly examples: readonly { readonly at: string; readonly stored: string; readonly expected: string }[]
}

interface Verification {
  readonly ok: boolean
  readonly log: readonly { partition: number; records: string; blocks: number; error: string | null }[]
  readonly conservation: readonly { projection: string; generation: number; partition: number; error: string }[]
  readonly models: readonly ModelCheck[] | null
}

type VerifyLine = { readonly kind: "progress" | "failed"; readonly detail: string } | { readonly kind: "report"; readonly report: Verification }

/** The report at the end of the NDJSON answer; progress goes to stderr. */
const readReport = async (response: Response, output: Output): Promise<Verification> => {
  const decoder = new TextDecoder()
  let rest = ""
  for await (const chunk of response.body ?? []) {
    rest += decoder.decode(chunk as Uint8Array, { stream: true })
    const lines = rest.split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      const said = JSON.parse(line) as VerifyLine
      if (said.kind === "report") return said.report
      if (said.kind === "failed") throw new CliError(`The verification could not be finished: ${said.detail}`)
      output.note(said.detail)
    }
  }
  throw new CliError("The verification broke off: look at the server's log, then try again.")
}

const readFull = async (client: Client, output: Output): Promise<Verification> => {
  const response = await client.request("/v1/verify?full=1", { method: "POST", headers: { authorization: `Bearer ${client.keyFor("admin")}` } })
  if (response.ok) return readReport(response, output)
  const { code, detail } = (await response.json()) as { code?: string; detail?: string }
  throw new CliError(`${response.status} ${code ?? ""}: ${detail ?? ""}`)
}

const wrongIn = ({ differing, missing, extra }: Comparison): number => differing + missing + extra

const describe = (name: string, { compared, differing, missing, extra }: Comparison): string =>
  differing + missing + extra === 0 ? `${compared} ${name}` : `${compared} ${name} (${differing} differing, ${missing} missing, ${extra} extra)`

const showModel = (model: ModelCheck, output: Output): void => {
  const { rows, late, duplicates, deadLetters, checkpoints, digests, keyCounts } = model
  const parts = [["minute rows", rows.minute], ["hour rows", rows.hour], ["day rows", rows.day], ["late entries", late], ["duplicate entries", duplicates], ["dead letters", deadLetters], ["checkpoints", checkpoints], ["digests", digests], ["key counts", keyCounts]] as const
  const right = model.error === null && parts.every(([, comparison]) => wrongIn(comparison) === 0)
  output.data(`${right ? "✓" : "✗"} ${model.projection} gen ${model.generation}  ${model.records} records folded again  ${model.error ?? parts.map(([name, comparison]) => describe(name, comparison)).join(", ")}`)
  if (model.modelDigest !== null) output.data(`  model digest ${model.modelDigest}, the same for any number of lanes`)
  for (const { at, stored, expected } of model.examples) for (const line of [`  ${at}`, `    stored   ${stored}`, `    expected ${expected}`]) output.data(plain(line))
}

/**
 * Checksums and hash chain of the log, conservation of every projection; with `full` every read model recomputed from
 * the log. Exit 1 when anything differs.
 */
export const verify = async (client: Client, full: boolean, json: boolean, output: Output): Promise<void> => {
  output.note("reading every block of the log …")
  const result = full ? await readFull(client, output) : await admin<Verification>(client, "/v1/verify", "POST")
  if (json) output.data(JSON.stringify(result))
  else {
    for (const part of result.log) output.data(`${part.error === null ? "✓" : "✗"} log partition ${part.partition}  ${part.records} records in ${part.blocks} blocks  ${part.error ?? "checksums and hash chain intact"}`)
    for (const part of result.conservation) output.data(`✗ ${part.projection} gen ${part.generation} partition ${part.partition}: ${part.error}`)
    if (result.conservation.length === 0) output.data("✓ conservation: records = system + events, events = folded + held + duplicate + dead-lettered + filtered, in every partition")
    for (const model of result.models ?? []) showModel(model, output)
  }
  if (!result.ok) throw new CliError("The data differ from what the log says: see the lines marked ✗.")
}

const portFree = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const probe = createServer()
    probe.once("error", () => done(false))
    probe.listen(port, "127.0.0.1", () => probe.close(() => done(true)))
  })

const writable = (directory: string): string | undefined => {
  try {
    mkdirSync(directory, { recursive: true })
    accessSync(directory, constants.W_OK)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** Checks of this machine before or while Tidemark runs. */
export const doctor = async (client: Client, environment: Readonly<Record<string, string | undefined>>, json: boolean, output: Output): Promise<void> => {
  const checks: { name: string; ok: boolean; detail: string }[] = []
  const [major = 0, minor = 0, patch = 0] = process.versions.node.split(".").map(Number)
  const nodeOk = major > 20 || (major === 20 && (minor > 20 || (minor === 20 && patch >= 2)))
  checks.push({ name: "node", ok: nodeOk, detail: nodeOk ? process.versions.node : `${process.versions.node}: install 20.20.2 or newer` })
  const directory = resolve(environment["TIDEMARK_DATA_DIR"] ?? ".tidemark")
  const existed = existsSync(directory)
  const problem = writable(directory)
  const disk = problem === undefined ? statfsSync(directory) : undefined
  const freeGiB = disk === undefined ? 0 : (disk.bavail * disk.bsize) / 2 ** 30
  checks.push({ name: "data directory", ok: problem === undefined && freeGiB > 1, detail: problem ?? `${directory}, ${freeGiB.toFixed(1)} GiB free${existed ? "" : " (created)"}` })
  const running = await client.request("/healthz").then((response) => response.ok, () => false)
  const port = Number(environment["TIDEMARK_PORT"] ?? 4000)
  const free = running || (await portFree(port))
  checks.push({ name: "server", ok: free, detail: running ? `answers at ${client.url}` : free ? `not running; port ${port} is free` : `port ${port} is taken by another program: set TIDEMARK_PORT` })
  if (json) output.data(JSON.stringify(checks))
  else for (const check of checks) output.data(`${check.ok ? "✓" : "✗"} ${check.name}  ${check.detail}`)
  if (checks.some((check) => !check.ok)) throw new CliError("Something stands in the way: see the lines marked ✗.")
}

/** Every setting with its source. */
export const configExplain = (settings: readonly { name: string; value: string; source: string }[], json: boolean, output: Output): void => {
  output.data(json ? JSON.stringify(settings) : table(["NAME", "VALUE", "SOURCE"], settings.map((setting) => [setting.name, setting.value, setting.source])))
}
