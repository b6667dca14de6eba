/**
 * The command tree: `tidemark <noun> <verb>`. Exit codes: 0 ok, 1 failed, 2 usage, 3 parity differs, 4 not caught up,
 * 5 unreachable.
 */
import { Command, CommanderError, Option } from "commander"
import { asOfOf } from "./asOf.ts"
import type { Client, GlobalOptions } from "./client.ts"
import { CliError, makeClient } from "./client.ts"
import type { ImportFlags } from "./verbs/imports.ts"
import { importVerb } from "./verbs/imports.ts"
import type { Output } from "./output.ts"
import type { FacetsOptions } from "./verbs/facets.ts"
import { facets } from "./verbs/facets.ts"
import type { FindOptions } from "./verbs/events.ts"
import { timeText } from "./timeText.ts"
import { find, send } from "./verbs/events.ts"
import { showEvent } from "./verbs/journey.ts"
import { deadLettersLs } from "./verbs/deadLetters.ts"
import type { ApplyFlags, LateFlags } from "./verbs/late.ts"
import { lateApply, lateLs } from "./verbs/late.ts"
import type { LogMode, Logs } from "./verbs/logs.ts"
import { logCopy, logExport, MODES } from "./verbs/logs.ts"
import type { ChangesOptions } from "./verbs/changes.ts"
import { changes } from "./verbs/changes.ts"
import type { QueryOptions, WhyOptions } from "./verbs/models.ts"
import { query, why } from "./verbs/models.ts"
import { doctor } from "./verbs/doctor.ts"
import { configExplain, health, logInfo, verify } from "./verbs/operations.ts"
import type { ProjectionFlags } from "./verbs/projections.ts"
import { projectionPause, projectionResume, projectionsLs, projectionsShow } from "./verbs/projections.ts"
import type { RedriveFlags, RejectedFlags } from "./verbs/rejected.ts"
import { redrive, rejectedLs } from "./verbs/rejected.ts"
import { tail } from "./verbs/tail.ts"
import type { RebuildCall, RebuildFlags } from "./verbs/rebuilds.ts"
import { rebuildDiff } from "./verbs/rebuildDiff.ts"
import { rebuildAbort, rebuildCap, rebuildCompare, rebuildCutover, rebuildGenerations, rebuildPause, rebuildPlan, rebuildResume, rebuildRollback, rebuildStart, rebuildStatus } from "./verbs/rebuilds.ts"

export interface ProgramInput {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly output: Output
  readonly readStdin: () => Promise<string>
  readonly explain: () => readonly { name: string; value: string; source: string }[]
  /** Ways to the logs themselves; throws when the configuration is wrong. */
  readonly logs: () => Logs
}

type Verb = (client: Client, json: boolean) => Promise<void> | void

const list = (value: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), value]
const measureList = (value: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), ...value.split(",").map((name) => name.trim())]
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
  program.command("send <type> [data]").description("send one event; data is JSON, an object, or - for standard input").action((type: string, data?: string) =>
    run(async (client, json) => send(client, type, data === "-" ? await readStdin() : data, json, output)))
  program.command("tail").description("events as they are stored").option("--type <type>", "of this type").action((flags: { type?: string }) =>
    run((client, json) => tail(client, flags.type, json, output)))
  const events = program.command("events").description("the event log")
  events.command("find").description("search the log, newest first")
    .option("--type <type>", "of this type").option("--user <id>", "of this user").option("--session <id>", "of this session").option("--text <text>", "that hold this text anywhere, whatever its case")
    .option("--where <path=value>", "with this value at a path such as data.page; repeat for several", list).option("--from <time>", "RFC 3339, or a date (UTC)", timeText).option("--to <time>", "first instant after", timeText)
    .option("--first <n>", "at most this many", count, 50)
    .action((flags: FindOptions) => run((client, json) => find(client, flags, json, output)))
  program.command("event").description("one event").command("show <id>").description("received, validated, appended, and what every projection made of it")
    .option("--at <place>", "PARTITION/OFFSET, when it is known: nothing is searched then")
    .action((id: string, { at }: { at?: string }) => run((client, json) => showEvent(client, id, at, json, output)))
}

const addImport = (program: Command, run: (verb: Verb) => Promise<void>, { output }: ProgramInput): void => {
  program.command("import <file>").description("bulk load a file, - for standard input (gz too); the same import again adds nothing")
    .addOption(new Option("--format <format>", "of the lines; needed").choices(["ndjson", "access-log", "csv"]).makeOptionMandatory())
    .option("--name <name>", "name of the import; default: the file's name").option("--type <type>", "event type of every line; NDJSON may have a field `type` instead")
    .option("--time-field <path>", "where a line has its time: RFC 3339, or Unix ms")
    .addOption(new Option("--time-unit <unit>", "of numbers there; without it they are ms, and those that look like seconds are refused").choices(["ms", "s"]))
    .option("--user-field <path>", "where it has its user").option("--id-field <path>", "where it has an id of its own; else the id is a hash of name, line number and line")
    .option("--map <file>", "YAML, a line for each field of the event's data: `target.path: source.path`")
    .action((file: string, flags: ImportFlags) => run((client, json) => importVerb(client, file, flags, json, output)))
}

/** The past, on every verb that shows windows. */
const AS_OF = ["--as-of <moment>", "as it was known then: a time, or a position such as 0:120,1:88", asOfOf] as const

const addModels = (program: Command, run: (verb: Verb) => Promise<void>, { output }: ProgramInput): void => {
  program.command("query <projection>").description("windows of a projection")
    .requiredOption("--measure <name>", "such as views or duration.p95; repeat for several, or separate by commas", measureList).requiredOption("--from <time>", "RFC 3339, or a date (UTC)", timeText).requiredOption("--to <time>", "first instant after", timeText)
    .addOption(new Option("--resolution <r>", "length of the windows").choices(["minute", "hour", "day"]).default("hour"))
    .option("--where <name=value>", "only this value of a dimension; repeat for several", list).option("--by <dimension>", "a series for each of its values").option("--first <n>", "at most this many values of --by, those with the most events", count)
    .option(...AS_OF)
    .action((projection: string, flags: QueryOptions) => run((client, json) => query(client, projection, flags, json, output)))
  program.command("facets <projection>").description("the values a dimension has, with the events behind each: what --where can be set to")
    .requiredOption("--by <dimension>", "whose values").requiredOption("--from <time>", "RFC 3339, or a date (UTC)", timeText).requiredOption("--to <time>", "first instant after", timeText)
    .option("--where <name=value>", "only with this value of another dimension; repeat for several", list).option("--text <text>", "only values that hold this, in capitals or not").option("--first <n>", "at most this many, those with the most events", count)
    .option(...AS_OF)
    .action((projection: string, flags: FacetsOptions) => run((client, json) => facets(client, projection, flags, json, output)))
  program.command("why <projection> <key> <start>").description("the events behind a window, proved; key values separated by commas, or as name=value,name=value")
    .addOption(new Option("--resolution <r>", "length of the windows").choices(["minute", "hour", "day"]).default("minute")).option("--first <n>", "events shown", count, 20)
    .option(...AS_OF)
    .action((projection: string, key: string, start: string, flags: WhyOptions) =>
      run((client, json) => why(client, projection, key, timeText(start), flags, json, output)))
  program.command("changes <projection>").description("the windows that two moments do not agree on, with what they were and what they became")
    .requiredOption("--since <moment>", "the earlier moment: a time, or a position such as 0:120,1:88", asOfOf).option("--until <moment>", "the later one; default: now", asOfOf)
    .requiredOption("--measure <name>", "repeat for several, or separate by commas", measureList).requiredOption("--from <time>", "first window", timeText).requiredOption("--to <time>", "first instant after the last one", timeText)
    .addOption(new Option("--resolution <r>", "length of the windows").choices(["minute", "hour", "day"]).default("hour"))
    .option("--where <name=value>", "only this value of a dimension; repeat for several", list).option("--first <n>", "windows shown", count, 50)
    .action((projection: string, flags: ChangesOptions) => run((client, json) => changes(client, projection, flags, json, output)))
  const projections = program.command("projections").description("read models")
  projections.command("ls").description("state of every projection").action(() => run((client, json) => projectionsLs(client, json, output)))
  projections.command("show <projection>").description("one projection: state, definition, newest late events and dead letters").action((name: string) =>
    run((client, json) => projectionsShow(client, name, json, output)))
  projections.command("pause <projection>").description("stop a live projection where it stands; it keeps answering, and stays paused over restarts")
    .option("--reason <text>", "why; needed").option("--yes", "do it; without it, it says what it would do")
    .action((name: string, flags: ProjectionFlags) => run((client, json) => projectionPause(client, name, flags, json, output)))
  projections.command("resume <projection>").description("let a paused projection go on from its checkpoints").option("--yes", "do it; without it, it says what it would do")
    .action((name: string, flags: ProjectionFlags) => run((client, json) => projectionResume(client, name, flags, json, output)))
}

const addLate = (program: Command, run: (verb: Verb) => Promise<void>, { output }: ProgramInput): void => {
  const late = program.command("late").description("events that came after their window had closed")
  late.command("ls <projection>").description("why they were late, what they changed or would have").option("--held", "only those that do not count").option("--first <n>", "at most this many", count, 50).option("--after <cursor>", "go on after an earlier answer")
    .action((projection: string, flags: LateFlags) => run((client, json) => lateLs(client, projection, flags, json, output)))
  late.command("apply <projection> [places...]").description("count held events, PARTITION/OFFSET as `late ls` shows them, in every projection that holds them")
    .option("--all", "every held event of the projection").option("--reason <text>", "why; needed, and stored with each").option("--yes", "do it; without it, it says what would change")
    .action((projection: string, places: readonly string[], flags: ApplyFlags) => run((client, json) => lateApply(client, projection, places, flags, json, output)))
}

const addDeadLetters = (program: Command, run: (verb: Verb) => Promise<void>, { output }: ProgramInput): void => {
  program.command("dead-letters").description("accepted events that a projection could not fold").command("ls <projection>").description("why, and which version of its definition would count them")
    .option("--first <n>", "at most this many", count, 50).option("--after <cursor>", "go on after an earlier answer")
    .action((projection: string, flags: { first: number; after?: string }) => run((client, json) => deadLettersLs(client, projection, flags, json, output)))
}

const addRejected = (program: Command, run: (verb: Verb) => Promise<void>, { output, readStdin }: ProgramInput): void => {
  const rejected = program.command("rejected").description("events that ingest refused")
  rejected.command("ls").description("with their reasons, newest first, and what became of those that were sent again").option("--first <n>", "at most this many", count, 50).option("--after <cursor>", "go on after an earlier answer")
    .action((flags: RejectedFlags) => run((client, json) => rejectedLs(client, flags, json, output)))
  rejected.command("redrive [ids...]").description("send refused events again, by the ids of their entries as `rejected ls` shows them; each is appended under the id it was sent with, once")
    .option("--all", "every entry that was not sent again yet").option("--code <code>", "with --all: only those refused with this code").option("--data <json>", "the event as it should have been, - for standard input; for one entry")
    .option("--reason <text>", "why; needed, and stored with each").option("--yes", "do it; without it, it says what would become of them")
    .action((ids: readonly string[], flags: RedriveFlags) => run(async (client, json) => redrive(client, ids, flags.data === "-" ? { ...flags, data: await readStdin() } : flags, json, output)))
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
  add("status", "every rebuild, newest first; of the newest its phases, progress, proof and generations", [["--log", "every step of the newest"], wait], rebuildStatus)
  add("generations", "those that are stored: where each stands, what it holds and takes of the disk", [], rebuildGenerations)
  add("diff", "the windows that differ", [["--map", "as a map of key and hour"], ["--events <n>", "both values and the events behind the n-th listed window", count], ["--first <n>", "windows shown, 200 when absent", count], ["--after <cursor>", "go on after an earlier answer"], ["--of-tenant <id>", "another tenant's, with the operator's key"]], rebuildDiff)
  add("cap", "how quickly it may go at most; it gives way to live traffic anyway", [["--rate <events>", "events a second, or none"], yes], rebuildCap)
  add("pause", "stand still in whatever phase", [yes], rebuildPause)
  add("resume", "go on where it was paused or has failed", [yes], rebuildResume)
  add("compare", "compare a ready one again, as the numbers stand now", [wait, yes], rebuildCompare)
  add("cutover", "serve the rebuilt generation", [["--reason <text>", "accepts the differences of another definition"], yes], rebuildCutover)
  add("rollback", "serve again what the last cut-over replaced", [yes], rebuildRollback)
  add("abort", "end the running one and drop what it built", [yes], rebuildAbort)
}

const addOperations = (program: Command, run: (verb: Verb) => Promise<void>, { output, explain, logs }: ProgramInput): void => {
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
  program.command("doctor").description("checks of this machine").action(() => run((client, json) => doctor(client, explain, json, output)))
  program.command("config").description("configuration").command("explain").description("each value with its source").action(() =>
    run((_client, json) => configExplain(explain(), json, output)))
}

const HELP = `
Data go to stdout, progress and errors to stderr. Exit codes: 0 ok, 1 failed, 2 usage, 3 parity differs,
4 not caught up, 5 unreachable. Times are RFC 3339; a date alone is its midnight, UTC.

Examples:
  tidemark send page.viewed '{"page":"/hello"}'
  tidemark import access.log.gz --format access-log
  tidemark query page-views --measure views --from 2026-01-01 --to 2027-01-01 --resolution day --by page
  tidemark why page-views /hello 2026-11-24T10:00:00Z`

/** What an exit code stands for, in the JSON form of an error. */
const ERROR_CODES: Readonly<Record<number, string>> = { 1: "failed", 2: "usage", 3: "parity-differs", 4: "not-caught-up", 5: "unreachable" }

interface Ending {
  readonly exitCode: number
  readonly message: string
  readonly reason?: string | undefined
  /** Its text has been written already. */
  readonly told: boolean
}

/** How a command ends that failed. */
const endOf = (error: unknown): Ending => {
  if (error instanceof CliError) return { exitCode: error.exitCode, message: error.message, reason: error.reason, told: false }
  if (error instanceof CommanderError) {
    const message = error.code === "commander.help" ? "a command is missing: tidemark --help lists them" : error.message.replace(/^error: /, "")
    return { exitCode: error.exitCode === 0 ? 0 : 2, message, told: true }
  }
  const message = error instanceof Error ? error.message : String(error)
  return { exitCode: error instanceof Error && error.name === "ConfigurationError" ? 2 : 1, message, told: false }
}

/** Runs one command line and answers its exit code. With `--json` an error is the last line on stderr, one JSON document. */
export const runProgram = async (argv: readonly string[], input: ProgramInput): Promise<number> => {
  const program = new Command("tidemark").description("Real-time analytics on an immutable event log").version("0.1.0")
  program.option("--url <url>", "where Tidemark runs; default: TIDEMARK_URL or http://127.0.0.1:4000").option("--key <key>", "default: TIDEMARK_WRITE_KEY, _READ_KEY or _ADMIN_KEY, else that of the data directory")
    .option("--tenant <tenant>", "whose key of the data directory; default: default").option("--json", "one JSON document, or NDJSON where there are many; errors too, on stderr")
  const asJson = argv.includes("--json")
  program.exitOverride().configureHelp({ showGlobalOptions: true }).showHelpAfterError("Add --help to see what it takes.").addHelpText("after", HELP)
  program.configureOutput({
    writeOut: (text) => input.output.data(text.trimEnd()), writeErr: (text) => (asJson ? undefined : input.output.note(text.trimEnd())),
    outputError: (text, write) => write(text.replace(/^error: /, ""))
  })
  const run = async (verb: Verb) => {
    const options = program.opts<GlobalOptions>()
    await verb(makeClient(options, input.environment), options.json === true)
  }
  for (const add of [addEvents, addImport, addModels, addLate, addDeadLetters, addRejected, addRebuilds, addOperations]) add(program, run, input)
  inheritExitOverride(program)
  try {
    await program.parseAsync([...argv], { from: "user" })
    return 0
  } catch (error) {
    const { exitCode, message, reason, told } = endOf(error)
    if (exitCode !== 0 && asJson) input.output.note(JSON.stringify({ error: { code: ERROR_CODES[exitCode] ?? "failed", reason, message, exitCode } }))
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
