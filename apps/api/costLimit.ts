/**
 * What a request may cost, decided from its text before anything is executed. A field costs by what it makes the
 * platform read, whatever its page size: pages and buckets have limits of their own.
 */
import { GraphQLError, Kind } from "graphql"
import type { ASTVisitor, FieldNode, SelectionSetNode, ValidationContext } from "graphql"
import { PAGE_MAX } from "@tidemark/queries/limits"
import { limitText } from "./errors.ts"

/** Fields that read ranges of the log or of a read model; every other field costs 1. */
const FIELD_COSTS: ReadonlyMap<string, number> = new Map([
  ["why", 1_000], ["series", 500], ["seriesChanged", 500], ["top", 500], ["facets", 500], ["events", 500], ["event", 1_000], ["window", 100], ["windowChanges", 3_000], ["projections", 100], ["projection", 100],
  ["rebuilds", 100], ["rebuild", 50], ["differences", 1_000], ["differingWindow", 1_000], ["generations", 100], ["size", 50], ["lateEvents", 50], ["deadLetters", 50], ["foldedByVersion", 500], ["rejectedEvents", 50], ["redrive", 500], ["redriveRejected", 1_000],
  ["applyLateEvents", 1_000], ["freshness", 50]
])

/** A question to the past may read the log as well. */
const PAST_FACTOR = 4

const isPast = ({ arguments: given }: FieldNode): boolean => given?.some(({ name, value }) => name.value === "asOf" && value.kind !== Kind.NULL) === true

const refuse = (limit: string, max: number, wanted: string, node: FieldNode | undefined): GraphQLError =>
  new GraphQLError(limitText(limit, String(max), wanted), { ...(node === undefined ? {} : { nodes: [node] }), extensions: { code: "LIMIT_EXCEEDED", limit, max } })

/**
 * Sums up an operation; each fragment is counted once per use, from a memo, so that nested spreads cost no time. `event` is
 * searched for at the root only; within a journey it is what was found.
 */
const costOf = (context: ValidationContext, selections: SelectionSetNode, memo: Map<string, number>, isRoot = true): number => {
  let cost = 0
  for (const selection of selections.selections) {
    if (selection.kind === Kind.FIELD) {
      const own = selection.name.value === "event" && !isRoot ? 1 : (FIELD_COSTS.get(selection.name.value) ?? 1)
      cost += selection.name.value.startsWith("__") ? 1 : isPast(selection) ? own * PAST_FACTOR : own
      if (selection.selectionSet !== undefined) cost += costOf(context, selection.selectionSet, memo, false)
    } else if (selection.kind === Kind.INLINE_FRAGMENT) cost += costOf(context, selection.selectionSet, memo, isRoot)
    else {
      const name = selection.name.value
      const fragment = context.getFragment(name)
      let known = memo.get(name)
      if (known === undefined && fragment !== undefined && fragment !== null) {
        memo.set(name, 0)
        known = costOf(context, fragment.selectionSet, memo, isRoot)
        memo.set(name, known)
      }
      cost += known ?? 0
    }
  }
  return cost
}

/** A validation rule: cost of each operation, and pages that are named in the text. */
export const costRule = (costMax: number) => (context: ValidationContext): ASTVisitor => ({
  OperationDefinition: ({ selectionSet }) => {
    const cost = costOf(context, selectionSet, new Map())
    if (cost > costMax) context.reportError(refuse("cost", costMax, String(cost), undefined))
  },
  Field: (field) => {
    const first = field.arguments?.find(({ name }) => name.value === "first")?.value
    if (first?.kind === Kind.INT && Number(first.value) > PAGE_MAX) context.reportError(refuse("first", PAGE_MAX, first.value, field))
  }
})
