/** Errors as clients see them: a stable code, what to do, and no word of any engine. */
import { GraphQLError } from "graphql"

interface Told {
  readonly code: string
  readonly message: string
  readonly status: number
  readonly extra?: Readonly<Record<string, unknown>>
}

type Fields = Readonly<Record<string, unknown>> & { readonly _tag: string }

const isTagged = (error: unknown): error is Fields => typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"

const unavailable: Told = { code: "UNAVAILABLE", message: "The data cannot be read at the moment. Try again.", status: 503 }

const names = (value: unknown): string => (Array.isArray(value) ? value.join(", ") : "")

const noProjection = (projection: unknown, valid: unknown): Told => ({ code: "UNKNOWN_PROJECTION", message: `There is no projection ${String(projection)}. There are: ${names(valid)}.`, status: 400, extra: { valid } })

/** What a limit is, and what was asked for. */
export const limitText = (limit: string, max: string, wanted: string): string =>
  limit === "first" ? `first is at most ${max}, asked for ${wanted}.` : `At most ${max} ${limit}, asked for ${wanted}.`

const REACHED: Readonly<Record<string, (error: Fields) => string>> = {
  records: ({ records, max }) => `The events of this window lie among ${String(records)} records of the log, and one answer reads at most ${String(max)}.`,
  time: ({ records, walked, max }) => `The events of this window lie among ${String(records)} records of the log, and ${String(walked)} of them were read within ${Number(max) / 1_000} seconds.`,
  keys: ({ max }) => `What counts under __other__ is told by the other keys of each minute, and this window has more than ${String(max)} of them.`
}

/** What was reached, that nothing is known by it, and what to do. */
const tooLarge = (error: Fields): Told => {
  const { bound, records, walked, max, resolution } = error
  const next = resolution === "minute" ? "" : ` Ask for the ${resolution === "day" ? "hours or " : ""}minutes of the window: each has a proof of its own.`
  const message = `${REACHED[String(bound)]?.(error) ?? ""} Nothing is proved or disproved.${next} tidemark verify --full has no such bound.`
  return { code: "LIMIT_EXCEEDED", message, status: 400, extra: { limit: bound, records: String(records), walked: String(walked), max: String(max) } }
}

/** What the asker can put right is 400, what is ours 5xx; 200 stays for answers that are what they are. */
const TOLD: Readonly<Record<string, (error: Fields) => Told>> = {
  UnknownProjectionError: ({ projection, valid }) => noProjection(projection, valid),
  UnknownDimensionError: ({ projection, dimension, valid }) => ({ code: "UNKNOWN_DIMENSION", message: `${String(projection)} has no dimension ${String(dimension)}. It has: ${names(valid)}.`, status: 400, extra: { valid } }),
  UnknownMeasureError: ({ projection, measure, valid }) => ({ code: "UNKNOWN_MEASURE", message: `${String(projection)} has no measure ${String(measure)}. It has: ${names(valid)}.`, status: 400, extra: { valid } }),
  BadArgumentError: ({ argument, detail }) => ({ code: "BAD_ARGUMENT", message: `${String(argument)} ${String(detail)}.`, status: 400, extra: { argument } }),
  LimitError: ({ limit, max, wanted }) => ({ code: "LIMIT_EXCEEDED", message: limitText(String(limit), String(max), String(wanted)), status: 400, extra: { limit, max } }),
  SearchBoundError: ({ records, repetitions }) => ({
    code: "LIMIT_EXCEEDED", status: 400, extra: { limit: "records", max: records },
    message: `${repetitions === 0 ? "No event with this id is" : "The first record of the event with this id is not known to be"} among the newest ${String(records)} records; older ones were not searched. Say where it is, as ingest answered it: event(id, at: { partition, offset }), or tidemark event show ID --at PARTITION/OFFSET.`
  }),
  CursorError: ({ detail }) => ({ code: "BAD_CURSOR", message: `The cursor is ${String(detail)}.`, status: 400 }),
  LineageTooLargeError: (error) => tooLarge(error),
  LineageUnavailableError: () => ({ code: "GENERATION_GONE", message: "The generation of this window is gone. Ask for the window again.", status: 200 }),
  PastPositionError: ({ detail }) => ({ code: "BAD_ARGUMENT", message: `asOf ${String(detail)}.`, status: 400, extra: { argument: "asOf" } }),
  PastTooLargeError: ({ max }) => ({ code: "AS_OF_TOO_LARGE", message: `More than ${String(max)} records would have to be read again for that moment. Ask for fewer windows, one key, or shorter windows.`, status: 400, extra: { max } }),
  PastExpiredError: ({ retainedFromMs }) => ({
    code: "AS_OF_EXPIRED", message: `Windows before ${new Date(Number(retainedFromMs)).toISOString()} are no longer stored. Ask from there on.`, status: 400, extra: { retainedFrom: new Date(Number(retainedFromMs)).toISOString() }
  }),
  PastMismatchError: () => ({ code: "MODEL_INCONSISTENT", message: "The log does not hold what the stored windows were made of. Run tidemark verify --full.", status: 500 }),
  PartitionIndexError: () => unavailable,
  OffsetOutOfRangeError: () => ({ code: "LOG_RETAINED", message: "A part of the log behind this answer is no longer stored.", status: 200 }),
  LogCorruptError: () => ({ code: "LOG_CORRUPT", message: "A part of the log behind this answer fails its checksum. Run tidemark verify.", status: 500 }),
  LogGapError: () => ({ code: "LOG_GAP", message: "A part of the log behind this answer is missing. Run tidemark verify.", status: 500 }),
  LogIdentityError: () => ({ code: "LOG_IDENTITY", message: "The log was replaced by another one. Its read models must be built anew.", status: 500 }),
  ModelUnreadableError: () => ({ code: "MODEL_UNREADABLE", message: "The stored read model cannot be read by this version.", status: 500 }),
  NoSuchProjectionError: ({ projection, valid }) => noProjection(projection, valid),
  LateOriginalError: ({ partition, offset }) => ({ code: "LOG_CHANGED", message: `The log holds another record at ${String(partition)}/${String(offset)} than the late ledger names. Nothing was appended. Run tidemark verify.`, status: 500 }),
  AppendRejectedError: () => ({ code: "LOG_NOT_WRITABLE", message: "The log does not take records at the moment. Nothing was appended. Try again.", status: 503 }),
  AppendUnknownError: () => ({ code: "APPEND_UNKNOWN", message: "The log did not say whether it has stored the records. Do it again: an event counts once however often it is released.", status: 503 }),
  DedupeFullError: () => ({ code: "DEDUPE_FULL", message: "More events came within 24 hours than duplicates can be told from. Nothing was appended. Try again in a minute.", status: 503 }),
  ProjectionMissingError: ({ projection }) => ({ code: "UNKNOWN_PROJECTION", message: `There is no projection ${String(projection)}.`, status: 400 }),
  RebuildRunningError: ({ projection, rebuildId }) => ({ code: "REBUILD_RUNNING", message: `A rebuild of ${String(projection)} runs already. Wait for it, or abort it.`, status: 200, extra: { rebuildId } }),
  RebuildMissingError: () => ({ code: "REBUILD_MISSING", message: "There is no such rebuild.", status: 200 }),
  RebuildStatusError: ({ status, wanted }) => ({ code: "REBUILD_STATUS", message: `The rebuild is not where this can be done: ${String(status)}, wanted ${String(wanted)}.`, status: 200, extra: { status } }),
  ParityDiffersError: ({ differences, isAcceptable, servedHalt }) => ({
    code: "PARITY_DIFFERS", status: 200, extra: { differences, isAcceptable },
    message: isAcceptable === true && servedHalt !== undefined
      ? `The served generation has halted (${String(servedHalt)}), so nothing could be compared with it. The rebuilt one is what the log gives, as far as it was recomputed. Look at it, then accept it with a note.`
      : isAcceptable === true ? `${String(differences)} differences are not accepted. Look at them, then accept them with a note.` : `${String(differences)} differences, and the definition is the same or the build is faulty: they cannot be accepted.`
  }),
  TargetBehindError: ({ generation, partition, nextOffset, activeOffset }) => ({
    code: "TARGET_BEHIND", status: 200, extra: { generation, partition, nextOffset: String(nextOffset), activeOffset: String(activeOffset) },
    message: `Generation ${String(generation)} is at offset ${String(nextOffset)} of partition ${String(partition)}, what is served at ${String(activeOffset)}, and did not catch up within 3 seconds. Nothing has moved. See whether the projection is paused or a generation halted, then cut over again, or compare again, which waits for it.`
  }),
  StandbyHaltedError: ({ projection, generation, haltCode, detail }) => ({
    code: "STANDBY_HALTED", status: 200, extra: { generation, haltCode },
    message: `Generation ${String(generation)} has halted (${String(haltCode)}: ${String(detail)}) behind what is served, and will not catch up. Nothing has moved. Rebuild ${String(projection)} instead.`
  }),
  PointerConflictError: () => ({ code: "POINTER_MOVED", message: "Somebody else moved the projection at the same moment. Look at it again.", status: 200 }),
  ComparisonGoneError: ({ generation }) => ({ code: "GENERATION_GONE", message: `Generation ${String(generation)} is gone, so its windows cannot be looked at any more.`, status: 200 }),
  GenerationMissingError: () => ({ code: "GENERATION_GONE", message: "The generation is gone.", status: 200 }),
  InvalidSettingError: ({ pointer, detail }) => ({ code: "BAD_ARGUMENT", message: `${String(pointer)}: ${String(detail)}.`, status: 400, extra: { argument: String(pointer).slice(1) } }),
  EventStoreUnavailableError: () => unavailable,
  WrongRevisionError: () => unavailable,
  TimeoutError: () => ({ code: "TIMEOUT", message: "The answer took more than 10 seconds. Ask for less.", status: 504 }),
  StoreUnavailableError: () => unavailable,
  LogUnavailableError: () => unavailable,
  SearchUnavailableError: () => unavailable,
  RejectedLogError: () => unavailable,
  PubSubUnavailableError: () => unavailable
}

const internal: Told = { code: "INTERNAL", message: "Something failed inside. It was logged.", status: 500 }

/** Any failure as a GraphQL error. Never carries the cause. */
export const toGraphQLError = (error: unknown): GraphQLError => {
  if (error instanceof GraphQLError && (error.originalError === undefined || error.originalError === null)) {
    return error.extensions["code"] === undefined ? toRequestError(error) : error
  }
  const original = error instanceof GraphQLError ? error.originalError : error
  if (error instanceof GraphQLError && original instanceof GraphQLError) {
    return new GraphQLError(original.message, { nodes: error.nodes ?? null, path: error.path ?? null, extensions: original.extensions })
  }
  const told = isTagged(original) ? (TOLD[original._tag]?.(original) ?? internal) : internal
  const http = told.status === 200 ? {} : { http: { status: told.status } }
  const place = error instanceof GraphQLError ? { nodes: error.nodes ?? null, path: error.path ?? null } : {}
  return new GraphQLError(told.message, { ...place, extensions: { code: told.code, ...told.extra, ...http } })
}

const LIMIT_MESSAGE = /limit of .* exceeded|exceeds/i
/** Codes of the query engine for texts that cannot be parsed or do not fit the schema. */
const ENGINE_CODES: readonly unknown[] = [undefined, "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT", "OPERATION_RESOLUTION_FAILURE"]

/** An error found before anything was executed, with its code and status 400. */
export const toRequestError = (error: GraphQLError): GraphQLError => {
  const { code, http: _http, ...known } = error.extensions
  const own = ENGINE_CODES.includes(code) ? (LIMIT_MESSAGE.test(error.message) ? "LIMIT_EXCEEDED" : "BAD_REQUEST") : code
  return new GraphQLError(error.message, { nodes: error.nodes ?? null, extensions: { ...known, code: own, http: { status: 400 } } })
}
