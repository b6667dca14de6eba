/** A disk that does not sync the log ends the process: docs/adr/20261124-a-failed-sync-ends-the-process.md. */
import { writeSync } from "node:fs"

/** Exit code of a process whose log the disk did not sync: EX_IOERR of sysexits.h. */
export const EXIT_LOG_NOT_SYNCED = 74

/** What is said, why, and what to do next. */
export const unsyncedSentence = (directory: string, reason: string): string =>
  `The disk did not write the log in ${directory} (${reason}), so what is in memory may not be on it: Tidemark has acknowledged nothing of that append and ends with code ${EXIT_LOG_NOT_SYNCED}. Look for errors of the disk in the system's log, then start Tidemark again: it goes on from what was acknowledged.`

/** Ends the process at once, without another write to its stores. Nobody is answered after it. */
export const endUnsynced = (directory: string) => (reason: string): never => {
  // Past the stream, which a process that ends does not empty.
  writeSync(2, `${unsyncedSentence(directory, reason)}\n`)
  return process.exit(EXIT_LOG_NOT_SYNCED)
}
