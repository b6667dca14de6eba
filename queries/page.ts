/** One page of a list, Relay style. */
export interface Edge<Node> {
  readonly cursor: string
  readonly node: Node
}

export interface Page<Node> {
  readonly edges: readonly Edge<Node>[]
  readonly hasNextPage: boolean
  /** Continues after this page; it can lie beyond the last edge when more was searched than matched. */
  readonly endCursor: string | null
}

/** `entries` holds one more than `limit` when there is a next page. */
export const pageOf = <Node>(entries: readonly Node[], limit: number, cursorOf: (node: Node) => string): Page<Node> => {
  const edges = entries.slice(0, limit).map((node) => ({ cursor: cursorOf(node), node }))
  return { edges, hasNextPage: entries.length > limit, endCursor: edges.at(-1)?.cursor ?? null }
}
