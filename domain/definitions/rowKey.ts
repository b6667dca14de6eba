import { hashHex } from "../measures/hash.ts"

/** Store key of (tenant, key): 32 hex characters. Parts are length-prefixed, so no two keys share a text. */
export const keyIdOf = (tenantId: string, key: readonly string[]): string => {
  let text = `${tenantId.length}:${tenantId}`
  for (const part of key) text += `${part.length}:${part}`
  return hashHex(text, 0)
}
