/** `--as-of`: an earlier moment on the command line, as a receive time or as a position. */
import { CliError } from "./client.ts"
import { timeText } from "./timeText.ts"

/** The `asOf` argument of a question. */
export type AsOf = { readonly time: string } | { readonly position: readonly PartitionOffset[] }

export interface PartitionOffset {
  readonly partition: number
  readonly offset: string
}

const POSITION = /^\d+:\d+(?:,\d+:\d+)*$/

/** A time, or `partition:offset` of every partition, separated by commas. Throws `CliError` (usage) when it is neither. */
export const asOfOf = (text: string): AsOf => {
  if (!POSITION.test(text)) return { time: timeText(text) }
  const position = text.split(",").map((part) => {
    const [partition = "", offset = ""] = part.split(":")
    return { partition: Number(partition), offset }
  })
  if (new Set(position.map(({ partition }) => partition)).size !== position.length) throw new CliError(`The position "${text}" names a partition twice.`, 2)
  return { position }
}

/** A position as `--as-of` takes it, behind its short label. */
export const positionText = (position: readonly PartitionOffset[]): string =>
  `#${position.reduce((sum, { offset }) => sum + BigInt(offset), 0n)} (${position.map(({ partition, offset }) => `${partition}:${offset}`).join(",")})`
