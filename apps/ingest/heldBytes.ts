/** Bytes of bodies that a process holds at once, from their arrival to their answer: a burst or a log that stalls must not eat the memory. */

/** What one request holds. */
export interface Holding {
  /** False when there is no room for so many more; then nothing is added. */
  readonly add: (bytes: number) => boolean
  /** Gives everything back. */
  readonly release: () => void
}

/** At most `bytesMax` over all requests; a single one is never refused for being alone. */
export const makeHeldBytes = (bytesMax: number): (() => Holding) => {
  let held = 0
  return () => {
    let own = 0
    return {
      add: (bytes) => {
        if (held > own && held + bytes > bytesMax) return false
        own += bytes
        held += bytes
        return true
      },
      release: () => {
        held -= own
        own = 0
      }
    }
  }
}
