/**
 * The command tree: `tidemark <noun> <verb>`. Exit codes: 0 ok, 1 failed, 2 usage, 3 parity differs, 4 not caught up,
 * 5 unreachable.
 */
import { existsSync, readFileSync } from "node:fs"
import { basename } from "node:path"
import { Command, Option } from "commander"
import { parse as parseYaml } from "yaml"
import type { Client, GlobalOptions } from "./client.ts"
import { CliError, makeClient } from "./client.ts"
import { importFile } from "./import/importFile.ts"
import type { ImportOptions } from "./import/toEvents.ts"
import type { Output } from "./output.ts"
import type { FindOptions } from "./verbs/events.ts"
import { timeText } from "./timeText.ts"
import { find, send, tail } from "./verbs/events.ts"
import { showEvent } from "./verbs/journey.ts"
import type { LogMode, Logs } from "./verbs/logs.ts"
import { logCopy, logExport, MODES } from "./verbs/logs.ts"
import type { QueryOptions } from "./verbs/models.ts"
import { projections, query, why } from "./verbs/models.ts"
import { configExplain, doctor, health, logInfo, verify } from "./verbs/operations.ts"
import type { RebuildCall, RebuildFlags } from "./verbs/rebuilds.ts"
import { rebuildAbort, rebuildCap, rebuildCutover, rebuildDiff, rebuildPause, rebuildPlan, rebuildResume, rebuildRollback, rebuildStart, rebuildStatus } from "./verbs/rebuilds.ts"

export interface ProgramInput {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly output: Output
  readonly readStdin: () => Promise<string>
  readonly explain: () => readonly { name: string; value: string; source: string }[]
  /** Ways to the logs themselves; throws when the configuration is wrong. */
  readonly logs: () => Logs
}

type Verb = (client: Client, json: boolean) => Promise<void> | void

interface ImportFlags {
  readonly format: ImportOptions["format"]
  readonly name?: string
  readonly type?: string
  readonly timeField?: string
  readonly userField?: string
  readonly idField?: string
  readonly map?: string
}

const importOptions = (file: string, flags: ImportFlags): ImportOptions => {
  if (!existsSync(file)) throw new CliError(`There is no file ${file}.`, 2)
  if (flags.format === "csv" && flags.type === undefined) throw new CliError("A CSV import needs --type: the event type of its rows.", 2)
  const { map: mapFile, name, ...rest } = flags
  const map = mapFile === undefined ? undefined : new Map(Object.entries(parseYaml(readFileSync(mapFile, "utf8")) as Record<string, string>))
  return { ...rest, name: name ?? basename(file), ...(map === undefined ? {} : { map }) }
}

const list = (value: string, before: string[]): string[] => [...before, value]
const count = (value: string): number => {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1 || number > 1_000) throw new CliError(`--first takes a whole number from 1 to 1000, got "${value}".`, 2)
  return number
}

const partitionNumber = (value: string): number => {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 0) throw new CliError(`--partition takes a whole number from 0, got "${value}".`, 2)
  return number
}

const addEvents = (program: Command, run: (verb: Verb) => Promise<void>, { output, readStdin }: ProgramInput): void => {
  program.command("send <type> [data]").description("send one event; data is JSON, or - for standard input").action((type: string, data?: string) =>
    run(async (client, json) => send(client, type, data === "-" ? await readStdin() : data, json, output)))
  program.command("tail").description("events as they are stored").option("--type <type>").action((flags: { type?: string }) =>
    run((client, json) => tail(client, flags.type, json, output)))
  const events = program.command("events").description("the event log")
  events.command("find").description("search the log, newest first")
    .option("--type <type>").option("--user <id>").option("--session <id>").option("--text <text>").option("--from <time>", "RFC 3339, or a date (UTC)", timeText).option("--to <time>", "first instant after", timeText)
    .option("--first <n>", "at most this many", count, 50)
    .action((flags: FindOptions) => run((client, json) => find(client, flags, json, output)))
  program.command("event").description("one event").command("show <id>").description("received, validated, appended, and what every projection made of it")
    .option("--at <place>", "PARTITION/OFFSET, when it is known: nothing is searched then")
    .action((id: string, { at }: { at?: string }) => run((client, json) => showEvent(client, id, at, json, output)))
}

const addImport = (program: Command, run: (verb: Verb) => Promise<void>, { output }: ProgramInput): void => {
  program.command("import <file>").description("bulk load a file (gz too); the same import again adds nothing")
    .addOption(new Option("--format <format>").choices(["ndjson", "access-log", "csv"]).makeOptionMandatory())
    .option("--name <name>", "name of the import; default: the file's name").option("--type <type>", "event type of every line")
    .option("--time-field <path>").option("--user-field <path>").option("--id-field <path>").option("--map <file>", "YAML: target path in data: source path")
    .action((file: string, flags: ImportFlags) =>
      run(async (client, json) => {
        const report = await importFile(client, file, importOptions(file, flags), output.note)
        output.data(json ? JSON.stringify(report) : `${report.name}: ${report.lines} lines, ${report.accepted} accepted, ${report.duplicate} already there, ${report.rejected} rejected, ${report.seconds} s`)
      }))
}

const addModels = (program: Command, run: (verb: Verb) => Promise<void>, { output }: ProgramInput): void => {
  program.command("query <projection>").description("windows of a projection")
    .requiredOption("--measure <name>", "repeat for several", list, []).requiredOption("--from <time>", "RFC 3339, or a date (UTC)", timeText).requiredOption("--to <time>", "first instant after", timeText)
    .addOption(new Option("--resolution <r>").choices(["minute", "hour", "day"]).default("hour"))
    .option("--where <name=value>", "repeat for several", list, []).option("--by <dimension>")
    .action((projection: string, flags: QueryOptions) => run((client, json) => query(client, projection, flags, json, output)))
  program.command("why <projection> <key> <start>").description("the events behind a window; key values separated by commas")
    .addOption(new Option("--resolution <r>").choices(["minute", "hour", "day"]).default("minute")).option("--first <n>", "events shown", count, 20)
    .action((projection: string, key: string, start: string, flags: { resolution: string; first: number }) =>
      run((client, json) => why(client, projection, key, timeText(start), flags, json, output)))
  program.command("projections").description("read models").command("ls").description("state of every projection").action(() =>
    run((client, json) => projections(client, json, output)))
}

const addRebuilds = (program: Command, run: (verb: Verb) => Promise<void>, { output }: ProgramInput): void => {
  const rebuild = program.command("rebuild").description("generations of a projection: build beside the served one, prove, switch, go back")
  const add = (name: string, description: string, options: readonly (readonly [flag: string, meaning: string, read?: (text: string) => number])[], verb: (call: RebuildCall, flags: RebuildFlags) => Promise<void>): void => {
    const command = rebuild.command(`${name} <projection>`).description(description)
    for (const [flag, meaning, read] of options) {
      if (read === undefined) command.option(flag, meaning)
      else command.option(flag, meaning, read)
    }
    command.action((projection: string, flags: RebuildFlags) => run((client, json) => verb({ client, projection, json, output }, flags)))
  }
  const yes = ["--yes", "do it; without it, it says what it would do"] as const
  const wait = ["--wait", "until it is proved, has failed or was stopped"] as const
  add("plan", "what a rebuild would read", [["--reason <text>", "why"]], rebuildPlan)
  add("start", "build it beside the served generation", [["--reason <text>", "why; needed"], ["--rate <events>", "no more events a second than that"], wait, yes], rebuildStart)
  add("status", "every rebuild, newest first", [wait], rebuildStatus)
  add("diff", "the windows that differ", [["--first <n>", "windows shown, 200 when absent", count], ["--after <cursor>", "go on after an earlier answer"]], rebuildDiff)
  add("cap", "how quickly it may go at most; it gives way to live traffic anyway", [["--rate <events>", "events a second, or none"], yes], rebuildCap)
  add("pause", "stand still in whatever phase", [yes], rebuildPause)
  add("resume", "go on where it was paused or has failed", [yes], rebuildResume)
  add("cutover", "serve the rebuilt generation", [["--reason <text>", "accepts the differences of another definition"], yes], rebuildCutover)
  add("rollback", "serve again what the last cut-over replaced", [yes], rebuildRollback)
  add("abort", "end the running one and drop what it built", [yes], rebuildAbort)
}

const addOperations = (program: Command, run: (verb: Verb) => Promise<void>, { environment, output, explain, logs }: ProgramInput): void => {
  const log = program.command("log").description("the log")
  log.command("info").description("identity, partitions, lanes, bounds").action(() => run((client, json) => logInfo(client, json, output)))
  log.command("copy").description("copy every record, same partition and offset, into the other mode's engine; needs no server")
    .addOption(new Option("--to-mode <mode>").choices([...MODES]).makeOptionMandatory())
    .action(({ toMode }: { toMode: LogMode }) => run((_client, json) => logCopy(logs(), toMode, json, output)))
  log.command("export").description("every record as NDJSON, as it was stored; needs no server").option("--partition <n>", "this partition only", partitionNumber)
    .action(({ partition }: { partition?: number }) => run(() => logExport(logs(), partition, output)))
  program.command("verify").description("checksums and hash chain of the log, conservation of every projection").option("--full", "recompute every read model from the log too")
    .action(({ full }: { full?: boolean }) => run((client, json) => verify(client, full === true, json, output)))
  program.command("health").description("every part of the running server").action(() => run((client, json) => health(client, json, output)))
  program.command("doctor").description("checks of this machine").action(() => run((client, json) => doctor(client, environment, json, output)))
  program.command("config").description("configuration").command("explain").description("each value with its source").action(() =>
    run((_client, json) => configExplain(explain(), json, output)))
}

/** What an exit code stands for, in the JSON form of an error. */
const ERROR_CODES: Readonly<Record<number, string>> = { 1: "failed", 2: "usage", 3: "parity-differs", 4: "not-caught-up", 5: "unreachable" }

/** How a command ends that failed; `told`: its text has been written already. */
const endOf = (error: unknown): { readonly exitCode: number; readonly message: string; readonly told: boolean } => {
  if (error instanceof CliError) return { exitCode: error.exitCode, message: error.message, told: false }
  const { code, exitCode, message } = error as { readonly code?: string; readonly exitCode?: number; readonly message: string }
  if (code?.startsWith("commander.") === true) return { exitCode: exitCode === 0 ? 0 : 2, message: message.replace(/^error: /, ""), told: true }
  return { exitCode: 1, message, told: false }
}

/** Runs one command line and answers its exit code. With `--json` an error is the last line on stderr, one JSON document. */
export const runProgram = async (argv: readonly string[], input: ProgramInput): Promise<number> => {
  const program = new Command("tidemark").description("Real-time analytics on an immutable event log").version("0.1.0")
  program.option("--url <url>", "default: TIDEMARK_URL or http://127.0.0.1:4000").option("--key <key>").option("--tenant <tenant>").option("--json", "one JSON document, or NDJSON when streaming")
  const asJson = argv.includes("--json")
  program.exitOverride().configureOutput({ writeOut: (text) => input.output.data(text.trimEnd()), writeErr: (text) => (asJson ? undefined : input.output.note(text.trimEnd())) })
  const run = async (verb: Verb) => {
    const options = program.opts<GlobalOptions>()
    await verb(makeClient(options, input.environment), options.json === true)
  }
  for (const add of [addEvents, addImport, addModels, addRebuilds, addOperations]) add(program, run, input)
  inheritExitOverride(program)
  try {
    await program.parseAsync([...argv], { from: "user" })
    return 0
  } catch (error) {
    const { exitCode, message, told } = endOf(error)
    if (exitCode !== 0 && asJson) input.output.note(JSON.stringify({ error: { code: ERROR_CODES[exitCode] ?? "failed", message, exitCode } }))
    else if (!told) input.output.note(message)
    return exitCode
  }
}

/** `--json` and the like may stand anywhere; a wrong sub-command ends like a wrong command. */
const inheritExitOverride = (command: Command): void => {
  for (const child of command.commands) {
    child.copyInheritedSettings(command)
    inheritExitOverride(child)
  }
}
