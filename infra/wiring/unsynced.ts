/** The end of a process that must not wait for anything, and of one whose disk did not sync what nothing else holds: docs/adr/20261124-a-failed-sync-ends-the-process.md. */
import { writeSync } from "node:fs"
import { closeWrites } from "@tidemark/infra-embedded/writeGate"

/** Exit code of a process whose disk failed: EX_IOERR of sysexits.h. */
export const EXIT_NOT_SYNCED = 74

/** How long transactions of other threads may take to end. */
const WRITES_MS_MAX = 3_000

/**
 * Ends the process, without another write to its stores, whatever its threads do. Where one of them is still inside a
 * transaction after `waitMaxMs`, Node would wait for it for ever: then the process kills itself, and the code is lost.
 */
export const endProcess = (code: number, waitMaxMs = WRITES_MS_MAX): never => {
  if (!closeWrites(waitMaxMs)) process.kill(process.pid, "SIGKILL")
  return process.exit(code)
}

/** What is said, why, and what to do next. */
export const unsyncedSentence = (directory: string, reason: string): string =>
  `The disk did not write ${directory} (${reason}), so what is in memory may not be on it: Tidemark has acknowledged nothing of that write and ends with code ${EXIT_NOT_SYNCED}. Look for errors of the disk in the system's log, then start Tidemark again: it goes on from what was acknowledged.`

/** Ends the process at once. Nobody is answered after it. */
export const endUnsynced = (directory: string) => (reason: string): never => {
  // Past the stream, which a process that ends does not empty.
  writeSync(2, `${unsyncedSentence(directory, reason)}\n`)
  return endProcess(EXIT_NOT_SYNCED)
}
