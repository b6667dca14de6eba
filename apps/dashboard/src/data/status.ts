/** Whether each part of the server is ready. */
import { queryOptions } from "@tanstack/react-query"

export interface StatusPart {
  readonly name: string
  readonly ready: boolean
  readonly detail: string
}

export interface Status {
  readonly ready: boolean
  readonly parts: readonly StatusPart[]
}

const REFRESH_MS = 2_000

/** Asked again every two seconds while it is shown. Fails when the server does not answer. */
export const statusOptions = queryOptions({
  queryKey: ["status"] as const,
  queryFn: async ({ signal }): Promise<Status> => {
    const response = await fetch("/readyz", { signal }).catch((cause: unknown) => {
      throw signal.aborted ? cause : new Error("The server cannot be reached.")
    })
    return (await response.json()) as Status
  },
  staleTime: 0,
  gcTime: 0,
  retry: false,
  refetchInterval: REFRESH_MS
})
