/**
 * Names of payload fields that some compiled definition reads, numbered. A reader of records notes where these stand
 * and passes over everything else.
 */
const SLOTS_MAX = 256

/** Names of printable ASCII that JSON writes without escapes. */
const PLAIN = /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/

const numbers = new Map<string, number>()
const names: Uint8Array[] = []
/** Slots by the length of their names: a payload's field is compared with those of its own length only. */
const byLength = new Map<number, readonly number[]>()

/** The slot of a field's name; −1 for a name that has none and has to be read from the parsed payload. */
export const dataSlotOf = (name: string): number => {
  const known = numbers.get(name)
  if (known !== undefined) return known
  if (!PLAIN.test(name) || names.length >= SLOTS_MAX) return -1
  const slot = names.push(Uint8Array.from(name, (letter) => letter.charCodeAt(0))) - 1
  numbers.set(name, slot)
  byLength.set(name.length, [...(byLength.get(name.length) ?? []), slot])
  return slot
}

/** How many slots there are. */
export const dataSlots = (): number => names.length

/** The slot of the name `bytes[from, to)`, −1 for none. */
export const findDataSlot = (bytes: Uint8Array, from: number, to: number): number => {
  const length = to - from
  const slots = byLength.get(length)
  if (slots === undefined) return -1
  for (const slot of slots) {
    const name = names[slot]!
    let i = 0
    while (i < length && name[i] === bytes[from + i]) i++
    if (i === length) return slot
  }
  return -1
}
