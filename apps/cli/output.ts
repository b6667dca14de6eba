/** Results on stdout, progress on stderr. */
export interface Output {
  readonly data: (line: string) => void
  readonly note: (line: string) => void
  /** Resolves when the reader of stdout has taken what was written: a long answer must not pile up in memory. */
  readonly drained?: () => Promise<void>
}

const isUnsafe = (code: number): boolean =>
  (code < 0x20 && code !== 0x09) || (code >= 0x7f && code <= 0x9f) || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)

/** Text of events is untrusted: control and direction characters are shown as escapes. */
export const plain = (text: string): string => {
  let result = ""
  for (const mark of text) {
    const code = mark.codePointAt(0) ?? 0
    result += isUnsafe(code) ? "\\u" + code.toString(16).padStart(4, "0") : mark
  }
  return result
}

/** A table with aligned columns; one line per row, header first. */
export const table = (header: readonly string[], rows: readonly (readonly string[])[]): string => {
  const cells = [header, ...rows].map((row) => row.map((cell) => plain(cell)))
  const widths = header.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)))
  return cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()).join("\n")
}
