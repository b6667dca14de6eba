/** How change hints are addressed on the bus: by tenant and projection; the key names the window and no value. */

/** Topic of the hints of one projection of one tenant. The length keeps tenants from running into projections. */
export const modelTopic = (tenantId: string, projection: string): string => `model:${tenantId.length}:${tenantId}:${projection}`

export interface HintKey {
  readonly resolution: number
  readonly windowStartMs: number
}

/** Key of a hint: resolution code, window start, key id. */
export const hintKey = (hint: HintKey & { readonly keyId: string }): string => `${hint.resolution}:${hint.windowStartMs}:${hint.keyId}`

/** What a hint's key names; undefined when it is not one of these keys. */
export const readHintKey = (key: string): HintKey | undefined => {
  const match = /^([012]):(-?\d{1,16}):/.exec(key)
  return match === null ? undefined : { resolution: Number(match[1]), windowStartMs: Number(match[2]) }
}
