/** What is known of views for BI tools that are behind what is served. */

/**
 * A view for BI tools that has not followed the pointer yet: somebody reads it, or has built on it. What is served by the
 * product does not depend on it; the store goes on trying.
 */
export interface StaleView {
  readonly projection: string
  /** As a BI tool names it. */
  readonly view: string
  /** The generation it shows; 0: none. */
  readonly generation: number
  /** What stands against it, for a person: "session 7 (analyst) holds it". */
  readonly reason: string
}
