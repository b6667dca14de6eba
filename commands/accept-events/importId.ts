/** Ids of what an import brings without one of its own: the same line of the same import always has the same id. */
import { createHash } from "node:crypto"

/** UUIDv8 of the SHA-256 of import name, line number (if known) and text. */
export const importId = (name: string, line: number | undefined, text: string): string => {
  const bytes = createHash("sha256").update(JSON.stringify([name, line ?? null, text])).digest().subarray(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")
}
