/**
 * What an expression says before it is run: its event paths, its helpers, and whether this binary
 * can run it. CEL without what depends on the machine or takes more than linear time: no regular
 * expressions (`matches`), no timestamps (their text is read in the machine's zone).
 */
import { Environment, ParseError } from "@marcbachmann/cel-js"
import type { ASTNode } from "@marcbachmann/cel-js"
import * as Schema from "effect/Schema"
import { HELPERS } from "./eventHelpers.ts"

/** The definition names a helper or function this binary lacks. */
export class DefinitionMissingError extends Schema.TaggedError<DefinitionMissingError>()("DefinitionMissingError", {
  name: Schema.String
}) {}

/** The text is no expression. `at` is the first wrong character, from 0. */
export class ExpressionSyntaxError extends Schema.TaggedError<ExpressionSyntaxError>()("ExpressionSyntaxError", {
  detail: Schema.String, at: Schema.Int
}) {}

/** A stretch of the text that is an event path, `has()` of one included. */
export interface PathUse {
  readonly start: number
  readonly end: number
  /** Names after `event`. */
  readonly names: readonly string[]
  /** Whether the stretch asks if the path has a value. */
  readonly has: boolean
}

/** An expression that this binary can run. */
export interface ExpressionSyntax {
  /** In the order of the text; no two overlap. */
  readonly paths: readonly PathUse[]
  /** Names of the helpers it calls. */
  readonly helpers: ReadonlySet<string>
  /** Where the text is nothing but a path, or one helper of a path. */
  readonly plain: { readonly names: readonly string[]; readonly helper: string | undefined } | undefined
}

const FUNCTIONS = new Set(["has", "size", "int", "double", "string", "bool", "dyn"])
const METHODS = new Set([
  "size", "startsWith", "endsWith", "contains", "lowerAscii", "upperAscii", "trim", "indexOf", "lastIndexOf", "substring",
  "split", "join", "all", "exists", "exists_one", "map", "filter", "bind"
])
/** Name of the variable that stands for a path in what CEL evaluates. */
export const pathVariable = (at: number): string => `path__${at}`
const RESERVED = /^path__\d+$/
const PATH_TEXT = /^event(?:\s*\.\s*[A-Za-z_]\w*)+$/

/** Environment for `source` with the variables `names`. JSON numbers are doubles, and doubles mix with integers. */
export const createEnvironment = (names: readonly string[]): Environment => {
  const environment = new Environment()
  for (const name of names) environment.registerVariable(name, "dyn")
  for (const [name, { helper }] of HELPERS) environment.registerFunction(`${name}(dyn): dyn`, helper)
  const mix = (operator: string, apply: (left: number, right: number) => number): void => {
    const handler = (left: number | bigint, right: number | bigint): number => apply(Number(left), Number(right))
    environment.registerOperator(`int ${operator} double: double`, handler)
    environment.registerOperator(`double ${operator} int: double`, handler)
  }
  mix("+", (left, right) => left + right)
  mix("-", (left, right) => left - right)
  mix("*", (left, right) => left * right)
  mix("/", (left, right) => left / right)
  mix("%", (left, right) => left % right)
  environment.registerOperator("double % double: double", (left: number, right: number) => left % right)
  return environment
}

const childrenOf = (node: ASTNode): readonly ASTNode[] => {
  switch (node.op) {
    case "value":
    case "id":
      return []
    case ".":
    case ".?":
      return [node.args[0]]
    case "call":
      return node.args[1]
    case "rcall":
      return [node.args[1], ...node.args[2]]
    case "map":
      return node.args.flat()
    case "!_":
    case "-_":
      return [node.args]
    default:
      return node.args
  }
}

/** Names after `event` when the node is written as a plain path. */
const pathNames = (node: ASTNode, text: string): readonly string[] | undefined => {
  const written = text.slice(node.start, node.end)
  return node.op === "." && PATH_TEXT.test(written) ? written.split(".").slice(1).map((name) => name.trim()) : undefined
}

const collect = (node: ASTNode, text: string, paths: PathUse[], helpers: Set<string>): void => {
  const names = pathNames(node, text)
  if (names !== undefined) {
    paths.push({ start: node.start, end: node.end, names, has: false })
    return
  }
  if (node.op === "id" && (node.args === "event" || RESERVED.test(node.args))) {
    throw new ExpressionSyntaxError({ detail: `${node.args} has no value of its own`, at: node.start })
  }
  if (node.op === "rcall" && !METHODS.has(node.args[0])) throw new DefinitionMissingError({ name: node.args[0] })
  if (node.op === "call") {
    const [name, [argument]] = node.args
    if (HELPERS.has(name)) helpers.add(name)
    else if (!FUNCTIONS.has(name)) throw new DefinitionMissingError({ name })
    const asked = name === "has" && argument !== undefined ? pathNames(argument, text) : undefined
    if (asked !== undefined) {
      paths.push({ start: node.start, end: node.end, names: asked, has: true })
      return
    }
  }
  for (const child of childrenOf(node)) collect(child, text, paths, helpers)
}

const plainOf = (ast: ASTNode, text: string): ExpressionSyntax["plain"] => {
  const names = pathNames(ast, text)
  if (names !== undefined) return { names, helper: undefined }
  if (ast.op !== "call" || !HELPERS.has(ast.args[0]) || ast.args[1].length !== 1) return undefined
  const argument = ast.args[1][0]
  const argumentNames = argument === undefined ? undefined : pathNames(argument, text)
  return argumentNames === undefined ? undefined : { names: argumentNames, helper: ast.args[0] }
}

/** Made once: an environment costs far more than what it parses. Nothing is registered with it afterwards. */
const parser = createEnvironment(["event"])

const parse = (text: string): ReturnType<Environment["parse"]> => {
  try {
    return parser.parse(text)
  } catch (cause) {
    if (!(cause instanceof ParseError)) throw cause
    throw new ExpressionSyntaxError({ detail: cause.summary, at: cause.range?.start ?? 0 })
  }
}

/** Reads `text`. Throws `ExpressionSyntaxError` (wrong types included) or `DefinitionMissingError`. */
export const readExpression = (text: string): ExpressionSyntax => {
  const parsed = parse(text)
  const paths: PathUse[] = []
  const helpers = new Set<string>()
  collect(parsed.ast, text, paths, helpers)
  const { error } = parsed.check()
  if (error !== undefined) throw new ExpressionSyntaxError({ detail: error.summary, at: error.range?.start ?? 0 })
  return { paths: paths.sort((a, b) => a.start - b.start), helpers, plain: plainOf(parsed.ast, text) }
}
