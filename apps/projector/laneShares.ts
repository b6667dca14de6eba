/** Which thread folds which lane: fixed for the life of the process. */

/** Lane i belongs to share i mod n, with n = min(lanes, max(1, processors − 1)): one processor stays for ingest and queries. */
export const laneShares = (lanes: number, processors: number): readonly (readonly number[])[] => {
  const count = Math.min(lanes, Math.max(1, processors - 1))
  return Array.from({ length: count }, (_, share) => Array.from({ length: lanes }, (_, lane) => lane).filter((lane) => lane % count === share))
}
