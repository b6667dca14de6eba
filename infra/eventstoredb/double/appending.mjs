/** `Append`: one header, then events, then the answer. */
import { status } from "@grpc/grpc-js"
import shared from "@eventstore/db-client/generated/shared_pb.js"
import messages from "@eventstore/db-client/generated/streams_pb.js"

const { AppendResp } = messages
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const CONTENT_TYPES = new Set(["application/json", "application/octet-stream"])

class Invalid extends Error {}

const proposedOf = (message) => {
  const id = message.getId()?.getString() ?? ""
  const type = message.getMetadataMap().get("type")
  const contentType = message.getMetadataMap().get("content-type")
  if (!UUID.test(id)) throw new Invalid(`"${id}" is not a UUID`)
  if (!type) throw new Invalid("an event has no type")
  if (!CONTENT_TYPES.has(contentType)) throw new Invalid(`content type ${contentType}`)
  const data = Buffer.from(message.getData_asU8())
  if (contentType === "application/json") JSON.parse(data.toString("utf8"))
  return { id, type, contentType, data: data.toString("base64"), metadata: message.getCustomMetadata_asB64() }
}

const success = (revision, position) => {
  const answer = new AppendResp.Success()
  answer.setCurrentRevision(String(revision))
  if (position === undefined) {
    answer.setNoPosition(new shared.Empty())
  } else {
    const place = new AppendResp.Position()
    place.setCommitPosition(String(position))
    place.setPreparePosition(String(position))
    answer.setPosition(place)
  }
  const response = new AppendResp()
  response.setSuccess(answer)
  return response
}

const wrongVersion = (options, last) => {
  const answer = new AppendResp.WrongExpectedVersion()
  if (last === -1n) answer.setCurrentNoStream(new shared.Empty())
  else answer.setCurrentRevision(String(last))
  if (options.hasRevision()) answer.setExpectedRevision(options.getRevision())
  else if (options.hasNoStream()) answer.setExpectedNoStream(new shared.Empty())
  else answer.setExpectedStreamExists(new shared.Empty())
  const response = new AppendResp()
  response.setWrongExpectedVersion(answer)
  return response
}

/** Where the events were to begin, or undefined when anywhere will do. */
const startOf = (options) => (options.hasRevision() ? BigInt(options.getRevision()) + 1n : options.hasNoStream() ? 0n : undefined)

const decide = (journal, options, proposed) => {
  const stream = Buffer.from(options.getStreamIdentifier()?.getStreamName_asU8() ?? []).toString("utf8")
  if (stream === "" || stream.startsWith("$")) throw new Invalid(`stream "${stream}"`)
  const stored = journal.streamOf(stream)
  const last = BigInt(stored.length) - 1n
  const start = startOf(options)
  if (start === undefined ? options.hasStreamExists() && last < 0n : start > last + 1n) return wrongVersion(options, last)
  if (start === undefined || start === last + 1n) {
    const written = journal.write(stream, proposed)
    const end = written.at(-1)
    return end === undefined ? success(last, undefined) : success(end.revision, end.position)
  }
  const isThere = proposed.length > 0 && proposed.every(({ id }, index) => stored[Number(start) + index]?.id === id)
  return isThere ? success(start + BigInt(proposed.length) - 1n, undefined) : wrongVersion(options, last)
}

/** Handler over a journal. */
export const append = (journal) => (call, answer) => {
  let options
  const proposed = []
  let failure
  call.on("data", (request) => {
    try {
      if (options === undefined) {
        if (!request.hasOptions()) throw new Invalid("the first message is not the header")
        options = request.getOptions()
      } else {
        if (!request.hasProposedMessage()) throw new Invalid("a message holds no event")
        proposed.push(proposedOf(request.getProposedMessage()))
      }
    } catch (error) {
      failure ??= error
    }
  })
  call.on("end", () => {
    try {
      if (failure !== undefined) throw failure
      if (options === undefined) throw new Invalid("there is no header")
      answer(null, decide(journal, options, proposed))
    } catch (error) {
      answer({ code: status.INVALID_ARGUMENT, details: error.message })
    }
  })
}
