/** import: bulk load of a file. */
import { existsSync, readFileSync, statSync } from "node:fs"
import { basename } from "node:path"
import { parse as parseYaml } from "yaml"
import type { Client } from "../client.ts"
import { CliError } from "../client.ts"
import { importFile } from "../import/importFile.ts"
import { decodeUtf8 } from "../import/utf8.ts"
import { STANDARD_INPUT } from "../import/readLines.ts"
import type { ImportOptions } from "../import/toEvents.ts"
import type { Output } from "../output.ts"
import { plain } from "../output.ts"

export interface ImportFlags {
  readonly format: ImportOptions["format"]
  readonly name?: string
  readonly type?: string
  readonly timeField?: string
  readonly timeUnit?: "ms" | "s"
  readonly userField?: string
  readonly idField?: string
  readonly map?: string
}

/** What ingest takes as the name of an import, UTF-8. */
const NAME_BYTES_MAX = 128

/** Throws `CliError` (usage) unless the file maps texts to texts. */
const readMap = (file: string): ReadonlyMap<string, string> => {
  let found: unknown
  try {
    const { text, fault } = decodeUtf8(readFileSync(file))
    if (fault !== undefined) throw new Error(`${fault}.`)
    found = parseYaml(text)
  } catch (error) {
    throw new CliError(`The map ${file} cannot be read: ${(error as Error).message.split("\n")[0]}`, 2)
  }
  const entries = typeof found === "object" && found !== null && !Array.isArray(found) ? Object.entries(found as Record<string, unknown>) : []
  if (entries.length === 0 || entries.some(([, path]) => typeof path !== "string")) throw new CliError(`The map ${file} is not one: write lines like \`page: request.path\`, the field of the event's data first, then where the line has it.`, 2)
  return new Map(entries as [string, string][])
}

const checkFile = (file: string): void => {
  if (file === STANDARD_INPUT) return
  if (!existsSync(file)) throw new CliError(`There is no file ${file}.`, 2)
  if (statSync(file).isDirectory()) throw new CliError(`${file} is a directory: name a file.`, 2)
}

const nameOf = (file: string, given: string | undefined): string => {
  if (given === undefined && file === STANDARD_INPUT) throw new CliError("Standard input has no name: give one with --name, by which the same import is known again.", 2)
  const name = given ?? basename(file)
  if (name === "" || Buffer.byteLength(name) > NAME_BYTES_MAX) throw new CliError(`The name of an import has 1 to ${NAME_BYTES_MAX} bytes: give another one with --name.`, 2)
  return name
}

/** Flags that say where a line has something: an access log's lines have their places. */
const PLACE_FLAGS = [["timeField", "--time-field"], ["userField", "--user-field"], ["idField", "--id-field"], ["map", "--map"]] as const

const checkFlags = (flags: ImportFlags): void => {
  if (flags.format === "csv" && flags.type === undefined) throw new CliError("A CSV import needs --type: the event type of its rows.", 2)
  const meaningless = flags.format === "access-log" ? PLACE_FLAGS.find(([name]) => flags[name] !== undefined) : undefined
  if (meaningless !== undefined) throw new CliError(`${meaningless[1]} has no meaning with --format access-log: its lines have their fields in fixed places.`, 2)
  if (flags.timeUnit !== undefined && flags.timeField === undefined) throw new CliError("--time-unit needs --time-field: it is the unit of the numbers there.", 2)
}

const optionsOf = (file: string, flags: ImportFlags): ImportOptions => {
  checkFile(file)
  checkFlags(flags)
  const { map, name, ...rest } = flags
  return { ...rest, name: nameOf(file, name), ...(map === undefined ? {} : { map: readMap(map) }) }
}

/** Loads the file. Exit 1 when every line of it was refused: its format is another one then. */
export const importVerb = async (client: Client, file: string, flags: ImportFlags, json: boolean, output: Output): Promise<void> => {
  const report = await importFile(client, file, optionsOf(file, flags), (line) => output.note(plain(line)))
  const { name, lines, accepted, duplicate, rejected, seconds } = report
  output.data(json ? JSON.stringify(report) : plain(`${name}: ${lines} lines, ${accepted} accepted, ${duplicate} already there, ${rejected} rejected, ${seconds} s`))
  if (lines === 0) output.note(`${file} has no lines.`)
  if (rejected > 0 && accepted + duplicate === 0) throw new CliError(`Every line was refused: is --format ${flags.format} right? The reasons are kept: tidemark rejected ls`)
}
