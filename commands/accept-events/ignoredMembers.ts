/** Members that cannot be stored as sent: those the record has no place for are left out and named to the sender, those given twice refuse it. */

const NATIVE = ["type", "id", "time", "userId", "anonymousId", "sessionId", "source", "schemaVersion", "data"]
/** Attributes of CloudEvents that are taken. What ingest owns is overwritten, so a client's own is ignored. */
const CLOUD_EVENTS = ["specversion", "id", "source", "type", "time", "datacontenttype", "data", "userid", "anonymousid", "sessionid", "schemaversion"]
/** The object around a batch of events. */
const AROUND = ["events", "sentAt"]
/** What other products call a member. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ["event", "type"], ["name", "type"], ["eventtype", "type"], ["timestamp", "time"], ["createdat", "time"], ["properties", "data"], ["payload", "data"], ["distinctid", "userId"],
  ["user", "userId"], ["messageid", "id"], ["eventid", "id"], ["uuid", "id"], ["version", "schemaVersion"], ["deviceid", "anonymousId"], ["session", "sessionId"]
])
const NAMES_MAX = 10
const NAME_LENGTH_MAX = 64

const bare = (name: string): string => name.toLowerCase().replaceAll(/[-_$ ]/g, "")

const meant = (name: string, known: readonly string[]): string | undefined => {
  const wanted = bare(name)
  const found = known.find((candidate) => bare(candidate) === wanted) ?? OTHER_NAMES.get(wanted)
  return known.find((candidate) => candidate.toLowerCase() === found?.toLowerCase())
}

/** Those of `names` that are not `known`, with what they may have meant; undefined when all are. */
const unknownNames = (names: readonly string[], known: readonly string[]): string | undefined => {
  const ignored = names.filter((name) => !known.includes(name))
  if (ignored.length === 0) return undefined
  const told = ignored.slice(0, NAMES_MAX).map((name) => {
    const other = meant(name, known)
    return `${name.slice(0, NAME_LENGTH_MAX)}${other === undefined || names.includes(other) ? "" : ` (did you mean ${other}?)`}`
  })
  const more = ignored.length > NAMES_MAX ? ` and ${ignored.length - NAMES_MAX} more` : ""
  return `${told.join(", ")}${more}`
}

/** A hint that names the members left out, or undefined when all were taken. */
export const ignoredHint = (names: readonly string[], cloudEvents: boolean): string | undefined => {
  const unknown = unknownNames(names, cloudEvents ? CLOUD_EVENTS : NATIVE)
  return unknown === undefined ? undefined : `not stored: ${unknown}; put what belongs to the event into data`
}

/** The same for the object around a batch. */
export const ignoredAroundHint = (names: readonly string[]): string | undefined => {
  const unknown = unknownNames(names, AROUND)
  return unknown === undefined ? undefined : `not read: ${unknown}; put what belongs to the events into each of them`
}

const repeated = (names: readonly string[], known: readonly string[]): string | undefined => known.find((name) => names.indexOf(name) !== names.lastIndexOf(name))

/** A member of an event that decides what is stored and is there twice, so that one value would be lost; undefined when none is. */
export const repeatedMember = (names: readonly string[], cloudEvents: boolean): string | undefined => repeated(names, cloudEvents ? CLOUD_EVENTS : NATIVE)

/** The same for the object around a batch. */
export const repeatedAround = (names: readonly string[]): string | undefined => repeated(names, AROUND)
