/** Which rows of a read model are looked at. */
export type ResolutionCode = 0 | 1 | 2 // minute, hour, day

export interface RowScan {
  readonly projection: string
  readonly generation: number
  readonly tenantId: string
  readonly resolution: ResolutionCode
  /** Windows with fromMs ≤ start < toMs. */
  readonly fromMs: number
  readonly toMs: number
  /** Only this key, when given. */
  readonly keyId?: string
  /** Only rows that every one of these keeps. */
  readonly where?: readonly KeyTexts[]
  /** The scan ends after so many rows. */
  readonly rowsMax?: number
}

/** Keeps rows whose key has one of these texts at this place. */
export interface KeyTexts {
  /** Place in the key, from 0. */
  readonly dimension: number
  readonly in: readonly string[]
}

/** Whether every one of `where` keeps a row of this key. */
export const keepsKey = (where: readonly KeyTexts[] | undefined, key: readonly string[]): boolean =>
  where === undefined || where.every(({ dimension, in: texts }) => texts.includes(key[dimension] ?? ""))

/** Windows of one tenant and resolution, all keys and times, page by page. */
export interface WindowPage {
  readonly projection: string
  readonly generation: number
  readonly tenantId: string
  readonly resolution: ResolutionCode
  /** Windows after this one, in (window start, key id) order. */
  readonly after?: { readonly windowStartMs: number; readonly keyId: string }
  readonly limit: number
}
