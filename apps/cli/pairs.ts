import { CliError } from "./client.ts"

/** `name=value` of every `--where`; a value may hold further `=`. Throws `CliError` (usage) where there is none. */
export const pairsOf = (texts: readonly string[]): readonly (readonly [name: string, value: string])[] =>
  texts.map((text) => {
    const at = text.indexOf("=")
    if (at < 1) throw new CliError(`--where takes name=value, got "${text}".`, 2)
    return [text.slice(0, at), text.slice(at + 1)]
  })
