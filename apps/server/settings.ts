/** The values of the configuration, as the server takes them. */
import type { Role, ServerSettings } from "./context.ts"

interface Value<T> {
  readonly value: T
}

/** The part of the configuration that the server itself reads. */
export interface ConfiguredValues {
  readonly mode: Value<"embedded" | "distributed">
  readonly roles: Value<readonly Role[]>
  readonly host: Value<string>
  readonly port: Value<number>
  readonly dataDir: Value<string>
  readonly demo: Value<boolean>
  readonly rebuildThreads: Value<number>
  readonly rebuildsMax: Value<number>
  readonly standbySeconds: Value<number>
  readonly dedupeBytesMax: Value<number>
  readonly writeKey: Value<string | undefined>
  readonly readKey: Value<string | undefined>
  readonly adminKey: Value<string | undefined>
}

export const settingsOf = ({ mode, roles, host, port, dataDir, demo, rebuildThreads, rebuildsMax, standbySeconds, dedupeBytesMax, writeKey, readKey, adminKey }: ConfiguredValues): ServerSettings => ({
  roles: new Set(roles.value),
  shared: mode.value === "distributed",
  host: host.value,
  port: port.value,
  dataDir: dataDir.value,
  demo: demo.value,
  rebuildThreads: rebuildThreads.value,
  rebuildsMax: rebuildsMax.value,
  standbyMs: standbySeconds.value * 1_000,
  dedupeBytesMax: dedupeBytesMax.value,
  keys: { write: writeKey.value, read: readKey.value, admin: adminKey.value }
})
