/**
 * Directories of the embedded stores: they must lie on a disk of this machine.
 *
 * On a network file system a sync ends at somebody else's cache, a mapped file need not show what another process wrote,
 * and the lock of the one writer names a process that other machines do not see. Nothing overrides the refusal. Told by
 * the type that Linux gives to the file system; on other systems only a path that names a share is known. Loaded by the
 * thread that writes the log.
 */
import { mkdirSync, statfsSync } from "node:fs"

/** By the numbers of `linux/magic.h` and of the file systems themselves. FUSE stands for sshfs and its like: what it promises depends on a program. */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"], [0x517b, "SMB"], [0xff534d42, "CIFS"], [0xfe534d42, "SMB2"], [0x65735546, "FUSE"], [0x01021997, "9P"], [0x5346414f, "AFS"], [0x6b414653, "AFS"],
  [0x73757245, "Coda"], [0x00c36400, "Ceph"], [0x0bd00bd0, "Lustre"], [0x01161970, "GFS2"], [0x7461636f, "OCFS2"], [0x47504653, "GPFS"], [0x19830326, "BeeGFS"],
  [0x20030528, "OrangeFS"], [0xaad7aaea, "PanFS"], [0x564c, "NCP"], [0x786f4256, "a shared folder of VirtualBox"], [0xbacbacbc, "a shared folder of VMware"]
])

/** The directory lies on a network file system. The message says what to do. */
export class NetworkFileSystemError extends Error {
  override readonly name = "NetworkFileSystemError"
  constructor(directory: string, fileSystem: string) {
    super(`The directory ${directory} lies on a network file system (${fileSystem}), where an acknowledged event can be lost and two machines can write one log: set TIDEMARK_DATA_DIR to a directory on a disk of this machine.`)
  }
}

/** Type of the file system that holds a directory, as `statfs` gives it. */
export type FileSystemType = (directory: string) => number

const typeOf: FileSystemType = (directory) => statfsSync(directory).type

/** Makes the directory where there is none. Throws NetworkFileSystemError. */
export const makeLocalDirectory = (directory: string, fileSystemType: FileSystemType = typeOf): void => {
  if (/^[\\/]{2}[^\\/.?]/.test(directory) && process.platform === "win32") throw new NetworkFileSystemError(directory, "a share")
  mkdirSync(directory, { recursive: true })
  // Unsigned: the type is a signed 32-bit number on some machines.
  const fileSystem = NETWORK_FILE_SYSTEMS.get(fileSystemType(directory) >>> 0)
  if (fileSystem !== undefined) throw new NetworkFileSystemError(directory, fileSystem)
}
