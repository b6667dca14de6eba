/** A disk that does not sync what nothing else could be computed from ends the process: docs/adr/20261124-a-failed-sync-ends-the-process.md. */
import { writeSync } from "node:fs"

/** Exit code of such a process: EX_IOERR of sysexits.h. */
export const EXIT_NOT_SYNCED = 74

/** What is said, why, and what to do next. */
export const unsyncedSentence = (directory: string, reason: string): string =>
  `The disk did not write ${directory} (${reason}), so what is in memory may not be on it: Tidemark has acknowledged nothing of that write and ends with code ${EXIT_NOT_SYNCED}. Look for errors of the disk in the system's log, then start Tidemark again: it goes on from what was acknowledged.`

/** Ends the process at once, without another write to its stores. Nobody is answered after it. */
export const endUnsynced = (directory: string) => (reason: string): never => {
  // Past the stream, which a process that ends does not empty.
  writeSync(2, `${unsyncedSentence(directory, reason)}\n`)
  return process.exit(EXIT_NOT_SYNCED)
}
