/**
 * CEL expressions over an event, run. Rules: docs/semantics.md §6.
 *
 * A JSON number is a double, whether or not it is integral, and mixes with integers; a result that
 * is an integer comes back as a number where it is safe. `has(path)` is true unless the path is null.
 */
import { HELPERS } from "./eventHelpers.ts"
import { checkNumber, compilePath } from "./eventPath.ts"
import type { Evaluate } from "./eventPath.ts"
import { createEnvironment, pathVariable, readExpression } from "./expressionSyntax.ts"
import type { ExpressionSyntax } from "./expressionSyntax.ts"

const plainValue = (value: unknown): unknown => {
  if (typeof value !== "bigint") return checkNumber(value)
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
}

const interpret = (text: string, { paths }: ExpressionSyntax): Evaluate => {
  const variables = paths.map(({ names, has }, at) => {
    const read = compilePath(names)
    const evaluate: Evaluate = has ? (event, data) => read(event, data) !== null : read
    return { name: pathVariable(at), evaluate }
  })
  let source = ""
  let written = 0
  for (const [at, { start, end }] of paths.entries()) {
    source += text.slice(written, start) + pathVariable(at)
    written = end
  }
  const evaluate = createEnvironment(variables.map(({ name }) => name)).parse(source + text.slice(written))
  return (event, data) => {
    const context: Record<string, unknown> = {}
    for (const variable of variables) context[variable.name] = variable.evaluate(event, data)
    return plainValue(evaluate(context))
  }
}

/** The expression evaluated by CEL; event paths are its variables. Throws as `readExpression` does. */
export const interpretExpression = (text: string): Evaluate => interpret(text, readExpression(text))

/** Plain paths and a helper of one as direct access, anything else by CEL. Throws as `readExpression` does. */
export const compileExpression = (text: string): Evaluate => {
  const syntax = readExpression(text)
  if (syntax.plain === undefined) return interpret(text, syntax)
  const path = compilePath(syntax.plain.names)
  const helper = syntax.plain.helper === undefined ? undefined : HELPERS.get(syntax.plain.helper)?.helper
  return helper === undefined ? path : (event, data) => helper(path(event, data))
}
