/**
 * A strict stand-in for EventStoreDB, a process of its own: `PORT=2113 node infra/eventstoredb/double/main.mjs`.
 *
 * It speaks the service definitions that the client ships, to the unmodified client, and keeps to what the server
 * documents where that is inconvenient: positions are sparse and beyond 2^53, system events stand between the others, an
 * append that was stored before is answered without a position, and one without an expected revision is stored again.
 * `DATA` names a file that keeps the events of a run for the next one. Prints one line when it is ready.
 */
import { Server, ServerCredentials } from "@grpc/grpc-js"
import services from "@eventstore/db-client/generated/streams_grpc_pb.js"
import { append } from "./appending.mjs"
import { openJournal } from "./journal.mjs"
import { read } from "./reading.mjs"

const HOST = "127.0.0.1"

const journal = openJournal(process.env.DATA)
const server = new Server()
// Everything else of the service stays unimplemented, as the client is told then.
server.addService(services.StreamsService, { append: append(journal), read: read(journal) })
server.bindAsync(`${HOST}:${process.env.PORT ?? "2113"}`, ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) {
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
  process.stdout.write(`event store double ready at esdb://${HOST}:${port}?tls=false\n`)
})
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.forceShutdown())
