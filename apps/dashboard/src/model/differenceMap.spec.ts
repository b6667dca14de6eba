import { describe, expect, it } from "vitest"
import { byCause, chosenOf, differenceMap, nextCell } from "./differenceMap.ts"
import type { Difference } from "./rebuild.ts"

const difference = (key: string, start: string, over: Partial<Difference> = {}): Difference => ({
  key: [{ name: "currency", value: key }], start: `2026-11-24T${start}:00.000Z`, resolution: "MINUTE", old: "a 1", new: "a 2", cause: "LOGIC", firstDivergingEvent: null, noEvent: null, ...over
})
const drawn = (differences: readonly Difference[]) => {
  const { hours, rows } = differenceMap(differences)
  return [hours.map((hourMs) => new Date(hourMs).getUTCHours()).join(" "), ...rows.map(({ keyText, cells }) => `${keyText} ${cells.map((cell) => (cell === undefined ? "." : `${cell.windows}/${cell.heat}`)).join(" ")}`)]
}

describe("the map of differences", () => {
  it("has a row for each key, the one with most first, and every hour from the first to the last; equal ones are empty", () => {
    expect(drawn([difference("USD", "12:01"), difference("EUR", "10:58"), difference("EUR", "10:59"), difference("EUR", "13:00"), difference("EUR", "13:01"), difference("EUR", "13:02"), difference("EUR", "13:59")])).toEqual(["10 11 12 13", "EUR 2/2 . . 4/4", "USD . . 1/1 ."])
  })

  it("counts the minutes of an hour, or the hour where no minute of it is listed; days stand apart", () => {
    const list = [difference("EUR", "10:58"), difference("EUR", "10:00", { resolution: "HOUR" }), difference("EUR", "11:00", { resolution: "HOUR", cause: "INPUT" }), difference("EUR", "00:00", { resolution: "DAY" })]
    expect(drawn(list)).toEqual(["10 11", "EUR 1/4 1/4"])
    expect(differenceMap(list)).toMatchObject({ days: 1, keysLeftOut: 0, hoursLeftOut: 0, rows: [{ cells: [{ logic: 1, input: 0 }, { logic: 0, input: 1 }] }] })
    expect(differenceMap([])).toEqual({ hours: [], rows: [], keysLeftOut: 0, hoursLeftOut: 0, days: 0 })
  })

  it("leaves out keys and hours beyond what can be read, and says how many", () => {
    const keys = Array.from({ length: 30 }, (_, at) => difference(`k${String(at).padStart(2, "0")}`, "10:00"))
    const far = Array.from({ length: 60 }, (_, at) => ({ ...difference("far", "10:00"), start: new Date(Date.UTC(2026, 0, 1 + at)).toISOString() }))
    const map = differenceMap([...keys, ...far])
    expect([map.rows.length, map.keysLeftOut, map.hours.length, map.hoursLeftOut, map.rows[0]?.keyText]).toEqual([24, 7, 48, 13, "far"])
    expect(map.hours.every((hourMs, at) => at === 0 || hourMs > (map.hours[at - 1] ?? 0))).toBe(true)
  })

  it("is a filter of the list, together with the cause", () => {
    const list = [difference("EUR", "10:58"), difference("EUR", "11:58", { cause: "INPUT" }), difference("USD", "10:58"), difference("EUR", "10:00", { resolution: "HOUR" }), difference("EUR", "00:00", { resolution: "DAY", cause: "INPUT" })]
    const hourMs = Date.parse("2026-11-24T10:00:00.000Z")
    expect(chosenOf(list, { cell: { keyText: "EUR", hourMs }, cause: undefined })).toEqual([list[0], list[3]])
    expect(chosenOf(list, { cell: undefined, cause: "INPUT" })).toEqual([list[1], list[4]])
    expect(chosenOf(list, { cell: { keyText: "EUR", hourMs }, cause: "INPUT" })).toEqual([])
    expect(byCause(list)).toEqual({ LOGIC: 3, INPUT: 2 })
  })

  it("is walked by arrow keys from one filled cell to the next", () => {
    const map = differenceMap([difference("EUR", "10:01"), difference("EUR", "10:02"), difference("EUR", "13:01"), difference("USD", "12:01")])
    const step = (from: readonly [number, number], to: readonly [number, number]) => nextCell(map, from, to)
    expect([step([0, 0], [0, 1]), step([0, 3], [0, -1]), step([0, 0], [0, -1]), step([0, 3], [0, 1])]).toEqual([[0, 3], [0, 0], undefined, undefined])
    expect([step([0, 0], [1, 0]), step([1, 2], [-1, 0]), step([1, 2], [1, 0])]).toEqual([[1, 2], [0, 3], undefined])
  })
})
