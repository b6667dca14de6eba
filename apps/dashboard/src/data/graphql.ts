/**
 * GraphQL over HTTP.
 */
export class RequestError extends Error {
  readonly code: string
  readonly requestId: string | undefined
  constructor(message: string, code: string, requestId: string | undefined) {
    super(message)
    this.name = "RequestError"
    this.code = code
    this.requestId = requestId
  }
}

/** What a question needs to be asked. */
export interface Api {
  readonly tenant: string
  readonly readKey: string
}

interface Answer<T> {
  readonly data?: T | null
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[]
}

const readAnswer = async <T>(response: Response): Promise<Answer<T>> => {
  try {
    return (await response.json()) as Answer<T>
  } catch {
    return {}
  }
}

/** Asks one question. Throws RequestError with the server's stable code, `UNREACHABLE` or `UNAUTHENTICATED`. */
export const ask = async <T>(api: Api, query: string, variables: object, signal?: AbortSignal): Promise<T> => {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json, application/json", authorization: `Bearer ${api.readKey}` },
    body: JSON.stringify({ query, variables }),
    signal: signal ?? null
  }).catch((cause: unknown) => {
    if (signal?.aborted === true) throw cause
    throw new RequestError("The server cannot be reached.", "UNREACHABLE", undefined)
  })
  const requestId = response.headers.get("x-request-id") ?? undefined
  if (response.status === 401 || response.status === 403) throw new RequestError("This key may not read.", "UNAUTHENTICATED", requestId)
  const answer = await readAnswer<T>(response)
  const failure = answer.errors?.[0]
  if (failure !== undefined) throw new RequestError(failure.message, failure.extensions?.code ?? `HTTP_${response.status}`, requestId)
  if (answer.data === undefined || answer.data === null) throw new RequestError(`The server answered ${response.status} without data.`, `HTTP_${response.status}`, requestId)
  return answer.data
}
