/** The local key file of the embedded mode, for the CLI and the automatic sign-in on loopback. Mode 0600. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** Key texts by role; only generated ones are in the file. */
export interface TenantKeys {
  readonly write?: string
  readonly read?: string
  readonly admin?: string
}

export type KeyFile = Readonly<Record<string, TenantKeys>>

const pathOf = (dataDir: string): string => join(dataDir, "keys.json")

/** Keys by tenant; empty when there is no file yet. */
export const readKeyFile = (dataDir: string): KeyFile =>
  existsSync(pathOf(dataDir)) ? (JSON.parse(readFileSync(pathOf(dataDir), "utf8")) as KeyFile) : {}

/** Replaces the file as a whole. */
export const writeKeyFile = (dataDir: string, keys: KeyFile): void => {
  const temporary = pathOf(dataDir) + ".new"
  writeFileSync(temporary, JSON.stringify(keys, null, 2) + "\n", { mode: 0o600 })
  renameSync(temporary, pathOf(dataDir))
}
