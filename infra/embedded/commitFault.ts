/**
 * What the failure of a commit means: whether nothing was stored for want of room, or the disk failed.
 *
 * LMDB names the error code of the operating system and, for a page it could not write, the place. It says nothing of a
 * sync that failed, and takes a write that was cut short, as on a disk that fills up meanwhile, for an input/output
 * error; the room that is left tells the two apart. Loaded by the thread that writes the log.
 */
import { statfsSync } from "node:fs"
import { constants } from "node:os"

/** `rejected`: nothing is stored, and the next commit may succeed. `unsynced`: the disk failed, see `Committed`. */
export type CommitFault = { readonly kind: "rejected"; readonly reason: string; readonly full: boolean } | { readonly kind: "unsynced"; readonly reason: string }

export interface FailedCommit {
  /** All of the group was written to the transaction when it failed. */
  readonly written: boolean
  /** Size of the group, bytes. */
  readonly bytes: number
  /** Room on the disk that holds the log, bytes. */
  readonly roomBytes: () => number
}

const { errno } = constants
const NO_ROOM: ReadonlySet<unknown> = new Set([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
/** MDB_MAP_FULL, MDB_TXN_FULL, no memory: refused before anything is written to the disk. */
const REFUSED: ReadonlySet<unknown> = new Set([-30_792, -30_788, errno.ENOMEM])
const IS_WRITE = /Attempting to write page/
/** Pages of the trees above the blocks, and what others take meanwhile. */
const ROOM_SPARE_BYTES = 1_048_576

/** Judges what a commit threw. */
export const commitFault = (error: unknown, { written, bytes, roomBytes }: FailedCommit): CommitFault => {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown }
  const reason = typeof message === "string" ? message : String(error)
  if (REFUSED.has(code)) return { kind: "rejected", reason, full: false }
  const isCutShort = (): boolean => roomBytes() < bytes + ROOM_SPARE_BYTES
  if (NO_ROOM.has(code) && (IS_WRITE.test(reason) || isCutShort())) return { kind: "rejected", reason, full: true }
  if (code === errno.EIO && !IS_WRITE.test(reason) && isCutShort()) return { kind: "rejected", reason: "No space left on device: a write was cut short", full: true }
  return written || NO_ROOM.has(code) || code === errno.EIO ? { kind: "unsynced", reason } : { kind: "rejected", reason, full: false }
}

/** Room that a process without privileges has on the disk of `directory`, bytes. */
export const roomBytesIn = (directory: string): number => {
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}
