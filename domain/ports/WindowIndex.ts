/**
 * Merged window documents beside the read-model store, for faceted search and ranking. A copy and never a truth: it
 * follows the store through the outbox, older never overwrites newer, and whoever needs a number reads the store.
 * Rules: docs/semantics.md §7.
 *
 * Nothing is deleted from a live index: an engine that forgets a deletion would let a delayed write raise the dead.
 * What is out of retention or of use goes with its whole index.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { ResolutionCode, RowKey } from "./ReadModelStore.ts"
import type { SearchUnavailableError } from "./SearchIndex.ts"

/** Name of the outbox cursor of whoever feeds the index: what lies below it is in the index. */
export const SEARCH_CONSUMER = "search"

/** The image of one generation of one store's history. */
export interface WindowImage {
  readonly projection: string
  readonly generation: number
  /** `ReadModelStore.incarnation`. */
  readonly incarnation: string
}

/** An image and what its documents consist of, in the definition's order. */
export interface WindowModel extends WindowImage {
  readonly dimensions: readonly string[]
  /** Measures that count: they add up over windows and keys, and never fall. */
  readonly figures: readonly string[]
}

/** A window and key merged over all lanes. */
export interface WindowDocument extends RowKey {
  /** Dimension texts. */
  readonly key: readonly string[]
  /** The nearest double of each figure; for ranking only. */
  readonly figures: readonly number[]
  readonly events: bigint
  readonly lateEvents: bigint
  readonly backfillEvents: bigint
  readonly fingerprint: bigint
  /** Sum of the partials' revisions in one snapshot: the version of the document. */
  readonly revision: bigint
  /** Of everything but the revision, 32 hex characters: tells two contents of one revision apart. */
  readonly contentHash: string
}

/**
 * What became of one document. `done`: it is stored, or the same or a newer one is. `again`: not now, send it again.
 * `refused`: never, as it is. `conflict`: another content is stored under the same revision; one of the two is wrong.
 */
export type PutOutcome =
  | { readonly kind: "done" }
  | { readonly kind: "again"; readonly cause: string }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "conflict"; readonly detail: string }

export interface WindowFilter {
  /** A dimension. */
  readonly name: string
  /** Any of these texts. */
  readonly in: readonly string[]
}

/** Windows with fromMs ≤ start < toMs of one tenant and resolution. */
export interface WindowSelection {
  readonly tenantId: string
  readonly resolution: ResolutionCode
  readonly fromMs: number
  readonly toMs: number
  readonly where?: readonly WindowFilter[]
}

export interface WindowSearch extends WindowSelection {
  readonly limit: number
  /** Continue behind this hit. */
  readonly after?: { readonly windowStartMs: number; readonly keyId: string }
  /** Dimensions whose values are counted. */
  readonly facets?: readonly string[]
  readonly facetMax?: number
}

export interface WindowFound {
  /** Newest window first, then by key id. */
  readonly documents: readonly WindowDocument[]
  /** By dimension: the values in the whole selection with the number of their windows, most first, ties by value. */
  readonly facets: Readonly<Record<string, readonly { readonly value: string; readonly windows: number }[]>>
}

export interface Ranking {
  /** The figure to rank by; the number of events when absent. */
  readonly figure?: string
  /** The dimension whose values are ranked. */
  readonly by: string
  readonly limit: number
  /** Only values that hold this text, whatever the case of the letters A to Z. More may be found, never fewer. */
  readonly text?: string
}

const lowerCase = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

/** Whether a value holds a text, whatever the case of the letters A to Z: the rule by which values are looked for. */
export const holdsText = (value: string, text: string): boolean => text === "" || lowerCase(value).includes(lowerCase(text))

export interface Candidates {
  /** The first `limit` values: largest first, ties by code points. */
  readonly values: readonly string[]
  /** Every value that is not listed comes after this one in the same order; undefined when all are listed. */
  readonly last: { readonly value: string; readonly amount: number } | undefined
  /** False when the index could not look at every value: the list may lack any. */
  readonly complete: boolean
}

export interface WindowIndexShape {
  /** An outcome for each document, in their order. A failure says nothing of any of them: send all again. */
  readonly put: (model: WindowModel, documents: readonly WindowDocument[]) => Effect.Effect<readonly PutOutcome[], SearchUnavailableError>
  /** The stored documents, also those not searchable yet. */
  readonly read: (model: WindowModel, keys: readonly RowKey[]) => Effect.Effect<readonly (WindowDocument | undefined)[], SearchUnavailableError>
  /** Searches what is searchable: up to a second behind what was put. */
  readonly find: (model: WindowModel, search: WindowSearch) => Effect.Effect<WindowFound, SearchUnavailableError>
  /** Over several selections at once, one per resolution: they must not overlap in time. */
  readonly candidates: (model: WindowModel, selections: readonly WindowSelection[], ranking: Ranking) => Effect.Effect<Candidates, SearchUnavailableError>
  /** Makes everything that was put searchable now. */
  readonly refresh: (image: WindowImage) => Effect.Effect<void, SearchUnavailableError>
  /** Keeps a refused document aside, one per window and key; the image is degraded from then on. */
  readonly keepRefused: (model: WindowModel, refused: readonly { readonly document: WindowDocument; readonly reason: string }[]) => Effect.Effect<void, SearchUnavailableError>
  /**
   * `complete`: every window that was stored before is in the image, and none of its indices was lost since. `refused`:
   * documents kept aside.
   */
  readonly state: (image: WindowImage) => Effect.Effect<{ readonly complete: boolean; readonly refused: number }, SearchUnavailableError>
  readonly setComplete: (image: WindowImage, complete: boolean) => Effect.Effect<void, SearchUnavailableError>
  /** All images there are. */
  readonly images: Effect.Effect<readonly WindowImage[], SearchUnavailableError>
  /** Drops the image, or only whole indices of windows that all start before `beforeMs`. */
  readonly drop: (image: WindowImage, beforeMs?: number) => Effect.Effect<void, SearchUnavailableError>
}

export class WindowIndex extends Context.Service<WindowIndex, WindowIndexShape>()("tidemark/WindowIndex") {}
