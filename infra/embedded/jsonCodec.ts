/** JSON with bigint, Map and bytes, for the small records of the read-model store (checkpoints, ledgers). */
type Tagged = { readonly $n: string } | { readonly $m: readonly (readonly [unknown, unknown])[] } | { readonly $b: string }

/** Text of a value made of plain data, bigint, Map and Uint8Array. */
export const toText = (value: unknown): string =>
  JSON.stringify(value, function (this: Record<string, unknown>, name: string, plain: unknown): unknown {
    const original = this[name]
    if (typeof original === "bigint") return { $n: original.toString() } satisfies Tagged
    if (original instanceof Map) return { $m: [...original] } satisfies Tagged
    if (original instanceof Uint8Array) return { $b: Buffer.from(original).toString("base64") } satisfies Tagged
    return plain
  })

const revive = (_name: string, value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if ("$n" in value) return BigInt((value as { $n: string }).$n)
  if ("$m" in value) return new Map((value as { $m: [unknown, unknown][] }).$m)
  if ("$b" in value) return new Uint8Array(Buffer.from((value as { $b: string }).$b, "base64"))
  return value
}

/** The value of a text written by `toText`. The caller knows its shape. */
export const fromText = <T>(text: string): T => JSON.parse(text, revive) as T
