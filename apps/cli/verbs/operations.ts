/** health, log info, verify, config explain. */
import type { Client, Problem } from "../client.ts"
import { CliError, jsonOf, refusalOf } from "../client.ts"
import type { Output } from "../output.ts"
import { plain, table } from "../output.ts"

/** The parts of /readyz; exit 1 when one is not ready. */
export const health = async (client: Client, json: boolean, output: Output): Promise<void> => {
  const response = await client.request("/readyz")
  const answer = await jsonOf<{ ready: boolean; parts?: { name: string; ready: boolean; detail: string }[] }>(response)
  if (answer.parts === undefined) throw new CliError(`What answers at ${response.url} is not Tidemark (${response.status}): look at TIDEMARK_URL and --url.`, 5)
  if (json) output.data(JSON.stringify(answer))
  else for (const part of answer.parts) output.data(`${part.ready ? "✓" : "✗"} ${plain(`${part.name}  ${part.detail}`)}`)
  if (!answer.ready) throw new CliError("Not every part is ready: see the lines marked ✗.")
}

const admin = async <T>(client: Client, path: string, method: "GET" | "POST"): Promise<T> => {
  const response = await client.request(path, { method, headers: { authorization: `Bearer ${client.keyFor("admin")}` } })
  const answer = await jsonOf<T & Problem>(response)
  if (!response.ok) throw refusalOf(response.status, answer, "admin")
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

const SAY_EVERY_MS = 5_000

/** The report at the end of the NDJSON answer; progress goes to stderr, a line every 5 s. */
const readReport = async (response: Response, output: Output): Promise<Verification> => {
  const decoder = new TextDecoder()
  let [rest, saidMs] = ["", -Infinity]
  for await (const chunk of response.body ?? []) {
    rest += decoder.decode(chunk as Uint8Array, { stream: true })
    const lines = rest.split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      const said = JSON.parse(line) as VerifyLine
      if (said.kind === "report") return said.report
      if (said.kind === "failed") throw new CliError(`The verification could not be finished: ${said.detail}`)
      if (performance.now() - saidMs < SAY_EVERY_MS) continue
      saidMs = performance.now()
      output.note(said.detail)
    }
  }
  throw new CliError("The verification broke off: look at the server's log, then try again.")
}

const readFull = async (client: Client, output: Output): Promise<Verification> => {
  const response = await client.request("/v1/verify?full=1", { method: "POST", headers: { authorization: `Bearer ${client.keyFor("admin")}` } })
  if (response.ok) return readReport(response, output)
  throw refusalOf(response.status, await jsonOf<Problem>(response), "admin")
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

/** Every setting with its source. */
export const configExplain = (settings: readonly { name: string; value: string; source: string }[], json: boolean, output: Output): void => {
  output.data(json ? JSON.stringify(settings) : table(["NAME", "VALUE", "SOURCE"], settings.map((setting) => [setting.name, setting.value, setting.source])))
}
