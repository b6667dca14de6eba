/** JSON log lines on stderr; keys and request bodies never enter one. */
import { pino } from "pino"

export interface Logger {
  readonly info: (fields: Readonly<Record<string, unknown>>, message: string) => void
  readonly warn: (fields: Readonly<Record<string, unknown>>, message: string) => void
  readonly error: (fields: Readonly<Record<string, unknown>>, message: string) => void
}

/** A logger that writes to stderr at once, so that the last lines before an exit are kept. */
export const makeLogger = (level: "info" | "warn" | "silent"): Logger =>
  pino({ level, base: null, redact: ["authorization", "key", "*.authorization", "*.key"] }, pino.destination({ dest: 2, sync: true }))
