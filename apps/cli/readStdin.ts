/** Standard input as text. */
import { buffer } from "node:stream/consumers"
import { CliError } from "./client.ts"
import { decodeUtf8 } from "./import/utf8.ts"

/** All of it; `CliError` (usage) when it is not UTF-8. */
export const readStdin = async (): Promise<string> => {
  const { text, fault } = decodeUtf8(await buffer(process.stdin))
  if (fault !== undefined) throw new CliError(`Standard input is ${fault}.`, 2)
  return text
}
