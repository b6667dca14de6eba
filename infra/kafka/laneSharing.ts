/** Who gets which lane: evenly, and as far as that allows everybody keeps what he has. Pure. */

export interface LaneClaim {
  readonly member: string
  /** Lanes that the member says it owns. Two may claim one: the lesser name keeps it. */
  readonly lanes: readonly number[]
}

/** Lanes by member, ascending; sizes differ by one at most. Does not depend on the order of `claims`. */
export const shareLanes = (claims: readonly LaneClaim[], lanes: number): ReadonlyMap<string, readonly number[]> => {
  const members = [...claims].sort((a, b) => (a.member < b.member ? -1 : 1))
  const shares = new Map<string, number[]>(members.map(({ member }) => [member, []]))
  if (members.length === 0) return shares
  const taken = new Set<number>()
  const valid = members.map(({ member, lanes: claimed }) => {
    const mine = claimed.filter((lane) => Number.isInteger(lane) && lane >= 0 && lane < lanes && !taken.has(lane))
    for (const lane of mine) taken.add(lane)
    return { member, lanes: [...new Set(mine)].sort((a, b) => a - b) }
  })
  // Whoever has most keeps the odd lanes, so that as few as possible move.
  const base = Math.floor(lanes / members.length)
  let odd = lanes % members.length
  const kept = new Set<number>()
  for (const claim of [...valid].sort((a, b) => b.lanes.length - a.lanes.length)) {
    const quota = claim.lanes.length > base && odd > 0 ? base + 1 : base
    if (quota > base) odd -= 1
    for (const lane of claim.lanes.slice(0, quota)) {
      shares.get(claim.member)?.push(lane)
      kept.add(lane)
    }
  }
  const free = Array.from({ length: lanes }, (_, lane) => lane).filter((lane) => !kept.has(lane))
  for (const lane of free) {
    const poorest = [...shares.values()].reduce((least, share) => (share.length < least.length ? share : least))
    poorest.push(lane)
  }
  for (const share of shares.values()) share.sort((a, b) => a - b)
  return shares
}
