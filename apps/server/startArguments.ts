/** What the command line of a start asks for. The flags it takes are those that `usage.txt` lists. */

/** Values by flag name, or what is said instead of starting, and the exit code with it. */
export type StartArguments = { readonly kind: "flags"; readonly flags: ReadonlyMap<string, string> } | { readonly kind: "end"; readonly exitCode: 0 | 2; readonly text: string }

const USAGE_EXIT = 2
const FLAG = /^--([a-z-]+)(?:=(.*))?$/s

const refused = (text: string): StartArguments => ({ kind: "end", exitCode: USAGE_EXIT, text: `${text}: npm start -- --help lists what a start takes.\n` })

/** Flags of `usage`, without `help`. */
export const flagNames = (usage: string): ReadonlySet<string> => new Set([...usage.matchAll(/(?<=^ {2}|, )--([a-z-]+)/gm)].map(([, name = ""]) => name).filter((name) => name !== "help"))

/** Reads `--name value` and `--name=value`; of a flag given twice the last one counts. */
export const startArguments = (argv: readonly string[], usage: string): StartArguments => {
  if (argv.some((text) => text === "--help" || text === "-h")) return { kind: "end", exitCode: 0, text: usage }
  const names = flagNames(usage)
  const flags = new Map<string, string>()
  for (let at = 0; at < argv.length; at++) {
    const text = argv[at] ?? ""
    const [, name, joined] = FLAG.exec(text) ?? []
    if (name === undefined || !names.has(name)) return refused(`A start does not know the argument "${text}"`)
    const value = joined ?? argv[++at]
    if (value === undefined || value === "" || (joined === undefined && value.startsWith("--"))) return refused(`--${name} needs a value`)
    flags.set(name, value)
  }
  return { kind: "flags", flags }
}

/** The flags; ends the process where there is something to say instead. */
export const flagsOrEnd = (argv: readonly string[], usage: string): ReadonlyMap<string, string> => {
  const read = startArguments(argv, usage)
  if (read.kind === "flags") return read.flags
  const stream = read.exitCode === 0 ? process.stdout : process.stderr
  stream.write(read.text)
  process.exit(read.exitCode)
}
