/** What an importer says of a request beside its body. */
import type { IncomingMessage } from "node:http"
import type { IngestKey } from "./context.ts"
import type { Problem } from "./problem.ts"

/** UTF-8 bytes the name of an import may have. */
export const IMPORT_NAME_BYTES_MAX = 128

export interface ImportMark {
  /** Percent-decoded `Tidemark-Backfill`. */
  readonly backfill: string | undefined
  /** `Tidemark-Backfill-Line`: number in the import's file of the body's first line. */
  readonly firstLine: number | undefined
}

const UNUSABLE = /\p{Cc}|\p{Surrogate}/u

const decodeName = (sent: string): string | undefined => {
  try {
    const name = decodeURIComponent(sent)
    return name.trim() === "" || UNUSABLE.test(name) || Buffer.byteLength(name) > IMPORT_NAME_BYTES_MAX ? undefined : name
  } catch {
    return undefined
  }
}

const bad = (detail: string, hint: string): Problem => ({ status: 400, code: "header", detail, hint })

/** The import a request belongs to, none for live traffic, or why it is refused. */
export const importMarkOf = (req: IncomingMessage, { kind }: IngestKey): ImportMark | Problem => {
  const name = req.headers["tidemark-backfill"]
  const line = req.headers["tidemark-backfill-line"]
  if (name === undefined) return line === undefined ? { backfill: undefined, firstLine: undefined } : bad("Tidemark-Backfill-Line is sent without Tidemark-Backfill", "name the import in Tidemark-Backfill")
  if (kind !== "admin") return { status: 403, code: "backfill-key", detail: "only an admin key may mark events as an import (Tidemark-Backfill)", hint: "use an admin key, or leave the header out to send live events" }
  const backfill = typeof name === "string" ? decodeName(name) : undefined
  if (backfill === undefined) return bad(`Tidemark-Backfill is not percent-encoded UTF-8 text of 1 to ${IMPORT_NAME_BYTES_MAX} bytes`, "send the import's name percent-encoded")
  if (line === undefined) return { backfill, firstLine: undefined }
  if (typeof line !== "string" || !/^[1-9]\d{0,14}$/.test(line)) return bad("Tidemark-Backfill-Line is not a whole number from 1", "send the number of the body's first line in the file")
  return { backfill, firstLine: Number(line) }
}
