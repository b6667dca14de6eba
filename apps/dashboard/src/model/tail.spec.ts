import { describe, expect, it } from "vitest"
import { collect, EMPTY_TAILS, holdBoth, receiveBoth, TAIL_ROWS_MAX, waitingCount } from "./tail.ts"
import type { LoggedEvent } from "./answer.ts"
import type { Tail } from "./tail.ts"

const event = (offset: number, backfill: string | null = null): LoggedEvent => {
  const time = "2026-01-01T00:00:00.000Z"
  return { id: `event-${offset}`, type: "page.viewed", time, receivedAt: time, partition: 0, offset: String(offset), userId: null, anonymousId: null, backfill, data: null }
}
const imports = (from: number, count: number) => Array.from({ length: count }, (_, n) => event(from + n, "old"))
const offsets = (events: readonly LoggedEvent[]) => events.map(({ offset }) => Number(offset))
const rows = ({ rows: shown }: Tail) => offsets(shown)

describe("the list of events", () => {
  it("shows imports only in the list that has them all, and no number of them pushes a live event out of the other", () => {
    const tails = receiveBoth(receiveBoth(EMPTY_TAILS, [event(0), ...imports(1, 2), event(3)]), imports(4, TAIL_ROWS_MAX))
    expect(rows(tails.withoutImports)).toEqual([3, 0])
    expect(rows(tails.all)).toEqual(imports(4, TAIL_ROWS_MAX).map(({ offset }) => Number(offset)).toReversed())
  })

  it("counts as waiting only what the list will show", () => {
    const held = receiveBoth(holdBoth(receiveBoth(EMPTY_TAILS, [event(0)]), true), [event(1), ...imports(2, 3)])
    expect([waitingCount(held.withoutImports), waitingCount(held.all)]).toEqual([1, 4])
    const released = holdBoth(held, false)
    expect([rows(released.withoutImports), rows(released.all)]).toEqual([[1, 0], [4, 3, 2, 1, 0]])
  })

  it("collects at most so many events, and drops an import before a live event", () => {
    const pending: LoggedEvent[] = []
    for (const one of [event(0), ...imports(1, 2), event(3), ...imports(4, 3)]) collect(pending, one, 4)
    expect(offsets(pending)).toEqual([0, 3, 5, 6])
    for (const one of [event(7), event(8), event(9)]) collect(pending, one, 4)
    expect(offsets(pending)).toEqual([3, 7, 8, 9])
  })
})
