/** What the double has stored: events in the order of the whole store, and each stream's own. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs"

/** The first position: what reads positions as numbers instead of 64-bit integers mixes them up here. */
const FIRST_POSITION = 2n ** 53n + 1n
const SYSTEM_STREAM = "$stats-0.0.0.0:2113"
/** One system event stands before every so many others. */
const SYSTEM_EVERY = 3

const toLine = (event) => JSON.stringify({ ...event, revision: String(event.revision), position: String(event.position) })
const fromLine = (line) => {
  const event = JSON.parse(line)
  return { ...event, revision: BigInt(event.revision), position: BigInt(event.position) }
}

/** A journal, kept in the file when one is named. */
export const openJournal = (file) => {
  const all = []
  const streams = new Map()
  const followers = new Set()
  const take = (event) => {
    all.push(event)
    const stream = streams.get(event.stream) ?? []
    streams.set(event.stream, stream)
    stream.push(event)
  }
  // A line that was cut by a kill was never acknowledged.
  if (file !== undefined && existsSync(file)) for (const line of readFileSync(file, "utf8").split("\n").slice(0, -1)) take(fromLine(line))
  const persist = (events) => {
    if (file === undefined) return
    const handle = openSync(file, "a")
    writeSync(handle, events.map((event) => toLine(event) + "\n").join(""))
    fsyncSync(handle)
    closeSync(handle)
  }
  const streamOf = (name) => streams.get(name) ?? []
  const nextPosition = () => {
    const last = all.at(-1)
    // As in a file: the next record begins behind the bytes of this one.
    return last === undefined ? FIRST_POSITION : last.position + BigInt(100 + last.stream.length + last.data.length)
  }
  const record = (stream, proposed) => {
    const event = { ...proposed, stream, revision: BigInt(streamOf(stream).length), position: nextPosition(), createdTicks: String(BigInt(Date.now()) * 10_000n) }
    take(event)
    return event
  }
  return {
    all,
    streamOf,
    followers,
    /** Stores events at the end of the stream; returns them with their places. */
    write: (stream, proposed) => {
      const from = all.length
      if (from % (SYSTEM_EVERY + 1) === 0) record(SYSTEM_STREAM, { id: crypto.randomUUID(), type: "$statsCollected", contentType: "application/json", data: "", metadata: "" })
      const stored = proposed.map((event) => record(stream, event))
      persist(all.slice(from))
      for (const follow of followers) follow()
      return stored
    }
  }
}
