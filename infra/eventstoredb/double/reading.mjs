/** `Read`: a stream or the whole store, once or followed. */
import { randomUUID } from "node:crypto"
import { status } from "@grpc/grpc-js"
import shared from "@eventstore/db-client/generated/shared_pb.js"
import messages from "@eventstore/db-client/generated/streams_pb.js"

const { ReadReq, ReadResp } = messages
const BACKWARDS = ReadReq.Options.ReadDirection.BACKWARDS

const recorded = (event) => {
  const out = new ReadResp.ReadEvent.RecordedEvent()
  const id = new shared.UUID()
  id.setString(event.id)
  out.setId(id)
  const stream = new shared.StreamIdentifier()
  stream.setStreamName(Buffer.from(event.stream, "utf8").toString("base64"))
  out.setStreamIdentifier(stream)
  out.setStreamRevision(String(event.revision))
  out.setCommitPosition(String(event.position))
  out.setPreparePosition(String(event.position))
  out.getMetadataMap().set("type", event.type).set("content-type", event.contentType).set("created", event.createdTicks)
  out.setCustomMetadata(event.metadata)
  out.setData(event.data)
  return out
}

const eventMessage = (event) => {
  const resolved = new ReadResp.ReadEvent()
  resolved.setEvent(recorded(event))
  resolved.setCommitPosition(String(event.position))
  const message = new ReadResp()
  message.setEvent(resolved)
  return message
}

const confirmation = () => {
  const confirmed = new ReadResp.SubscriptionConfirmation()
  confirmed.setSubscriptionId(randomUUID())
  const message = new ReadResp()
  message.setConfirmation(confirmed)
  return message
}

const notFound = (identifier) => {
  const missing = new ReadResp.StreamNotFound()
  missing.setStreamIdentifier(identifier)
  const message = new ReadResp()
  message.setStreamNotFound(missing)
  return message
}

const filterOf = (options) => {
  if (!options.hasFilter()) return () => true
  const filter = options.getFilter()
  const byStream = filter.hasStreamIdentifier()
  const expression = byStream ? filter.getStreamIdentifier() : filter.getEventType()
  const [prefixes, regex] = [expression.getPrefixList(), expression.getRegex()]
  return (event) => {
    const text = byStream ? event.stream : event.type
    return prefixes.length > 0 ? prefixes.some((prefix) => text.startsWith(prefix)) : new RegExp(regex).test(text)
  }
}

/** The events asked for, in the order of the store, and how far along one stands in them. */
const sourceOf = (journal, options) => {
  if (options.hasAll()) {
    const all = options.getAll()
    const place = all.hasPosition() ? BigInt(all.getPosition().getCommitPosition()) : all.hasEnd() ? "end" : undefined
    return { events: () => journal.all, at: ({ position }) => position, place }
  }
  const stream = options.getStream()
  const name = Buffer.from(stream.getStreamIdentifier().getStreamName_asU8()).toString("utf8")
  const place = stream.hasRevision() ? BigInt(stream.getRevision()) : stream.hasEnd() ? "end" : undefined
  return { events: () => journal.streamOf(name), at: ({ revision }) => revision, place, identifier: stream.getStreamIdentifier() }
}

/** A read begins with the event at the place; backwards with the one before it in the whole store, as the server does. */
const readOnce = (call, options, { events, at, place, identifier }) => {
  const stored = events()
  if (identifier !== undefined && stored.length === 0) {
    call.write(notFound(identifier))
    return call.end()
  }
  const isIn = filterOf(options)
  const backwards = options.getReadDirection() === BACKWARDS
  const whole = identifier === undefined
  const wanted = (event) => {
    if (place === undefined) return !backwards
    if (place === "end") return backwards
    return backwards ? (whole ? at(event) < place : at(event) <= place) : at(event) >= place
  }
  const found = stored.filter((event) => wanted(event) && isIn(event))
  if (backwards) found.reverse()
  for (const event of found.slice(0, Number(BigInt(options.getCount())))) call.write(eventMessage(event))
  call.end()
}

/** A subscription begins behind the place and goes on for ever. */
const follow = (call, options, journal, { events, at, place }) => {
  const isIn = filterOf(options)
  let index = place === "end" ? events().length : 0
  const send = () => {
    for (const stored = events(); index < stored.length; index++) {
      const event = stored[index]
      if ((typeof place !== "bigint" || at(event) > place) && isIn(event)) call.write(eventMessage(event))
    }
  }
  call.write(confirmation())
  journal.followers.add(send)
  call.on("cancelled", () => {
    journal.followers.delete(send)
    call.end()
  })
  send()
}

/** Handler over a journal. */
export const read = (journal) => (call) => {
  const options = call.request.getOptions()
  if (options === undefined || (!options.hasAll() && !options.hasStream())) return call.destroy({ code: status.INVALID_ARGUMENT, details: "nothing is asked for" })
  const source = sourceOf(journal, options)
  if (options.hasSubscription()) return follow(call, options, journal, source)
  if (BigInt(options.getCount()) <= 0n) return call.destroy({ code: status.INVALID_ARGUMENT, details: "count is not positive" })
  return readOnce(call, options, source)
}
