/** Who may ask: read and admin keys, checked again while a socket is open. */
import type { KeyHolder } from "./context.ts"

/** What the key text belongs to; undefined when it is unknown, expired or revoked. */
export type ResolveKey = (keyText: string) => KeyHolder | undefined | Promise<KeyHolder | undefined>

const KEY_LENGTH_MAX = 512

/** The key in an `Authorization` value: `Bearer key`, or the user name of `Basic`; undefined when there is none. */
export const sentKey = (authorization: unknown): string | undefined => {
  const match = typeof authorization === "string" ? /^(bearer|basic) +(\S{1,1024})$/i.exec(authorization) : null
  const [, scheme = "", value = ""] = match ?? []
  const text = scheme.toLowerCase() === "basic" ? Buffer.from(value, "base64").toString("utf8").split(":")[0] : value
  return text === undefined || text === "" || text.length > KEY_LENGTH_MAX ? undefined : text
}

export type Admission =
  | { readonly admitted: true; readonly holder: KeyHolder; readonly keyText: string }
  | { readonly admitted: false; readonly status: 401 | 403; readonly code: "UNAUTHENTICATED" | "FORBIDDEN"; readonly detail: string }

/** Admits the holder of a read or admin key. */
export const admit = async (authorization: unknown, resolveKey: ResolveKey): Promise<Admission> => {
  const keyText = sentKey(authorization)
  const holder = keyText === undefined ? undefined : await resolveKey(keyText)
  if (keyText === undefined || holder === undefined) return { admitted: false, status: 401, code: "UNAUTHENTICATED", detail: "A valid key is needed: Authorization: Bearer <key>." }
  if (holder.kind === "write") return { admitted: false, status: 403, code: "FORBIDDEN", detail: "A write key cannot read. Use a read or admin key." }
  return { admitted: true, holder, keyText }
}
