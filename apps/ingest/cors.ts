/** Cross-origin rules of the write path: any origin may send, none may send credentials. Other paths have no such headers. */

const ALLOWED_HEADERS = [
  "authorization", "content-type", "content-encoding", "x-write-key",
  "ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-userid", "ce-anonymousid", "ce-sessionid", "ce-schemaversion"
]

/** On every answer of the write path. */
export const CORS_HEADERS: Readonly<Record<string, string>> = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset"
}

/** On the answer to a preflight. */
export const PREFLIGHT_HEADERS: Readonly<Record<string, string>> = {
  ...CORS_HEADERS,
  "access-control-allow-methods": "POST",
  "access-control-allow-headers": ALLOWED_HEADERS.join(", "),
  "access-control-max-age": "7200"
}
