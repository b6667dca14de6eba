/** Times on the command line: RFC 3339, or a date alone for its midnight UTC. */
import { CliError } from "./client.ts"

const DATE = /^\d{4}-\d{2}-\d{2}$/

/** RFC 3339 text of an argument. Throws `CliError` (usage) when it is no time. */
export const timeText = (value: string): string => {
  const text = DATE.test(value) ? `${value}T00:00:00.000Z` : value
  if (!/^\d{4}-\d{2}-\d{2}T/.test(text) || Number.isNaN(Date.parse(text))) throw new CliError(`"${value}" is no time: write 2026-01-31 or 2026-01-31T12:00:00Z.`, 2)
  return text
}
