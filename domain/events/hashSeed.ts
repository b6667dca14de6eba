import { hashHex } from "../measures/hash.ts"

/** Hash seed of a log: the first 32 bits of its id's hash, as an unsigned integer. */
export const hashSeedOf = (logId: string): number => Number.parseInt(hashHex(logId, 0).slice(0, 8), 16)
