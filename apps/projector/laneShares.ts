/** Which thread folds which lane of a process. */

/** The i-th lane belongs to share i mod n, with n = min(lanes, max(1, processors − 1)): one processor stays for ingest and queries. */
export const laneShares = (lanes: readonly number[], processors: number): readonly (readonly number[])[] => {
  const count = Math.min(lanes.length, Math.max(1, processors - 1))
  return Array.from({ length: count }, (_, share) => lanes.filter((_lane, at) => at % count === share))
}
