/** CEL expressions over an event. Rules: docs/semantics.md §6. */
import { Environment } from "@marcbachmann/cel-js"
import { Schema } from "effect"
import type { EventEnvelope } from "../events/event.ts"

/** The definition names a helper this binary lacks. */
export class DefinitionMissingError extends Schema.TaggedError<DefinitionMissingError>()("DefinitionMissingError", {
  name: Schema.String
}) {}

/** Value of an expression. Throws when it cannot be evaluated. */
export type Evaluate = (event: EventEnvelope, data: unknown) => unknown

/** Host of an absolute URL in lower case, else null. `referrerHost@1`. */
export const referrerHost = (value: unknown): string | null => {
  const match = typeof value === "string" ? /^https?:\/\/(?:[^/?#@]*@)?([^/?#:]+)/i.exec(value) : null
  return match === null ? null : match[1]!.toLowerCase()
}

/** bot, tablet, mobile or desktop; null without a user agent. `deviceClass@1`. */
export const deviceClass = (value: unknown): string | null => {
  if (typeof value !== "string" || value === "") return null
  if (/bot|crawl|spider|slurp/i.test(value)) return "bot"
  if (/ipad|tablet|android(?!.*mobile)/i.test(value)) return "tablet"
  return /mobi|iphone|android/i.test(value) ? "mobile" : "desktop"
}

/** Versions of the helpers, part of a definition's hash. */
export const HELPER_SET = "deviceClass@1,referrerHost@1"
const HELPERS: ReadonlyMap<string, (value: unknown) => string | null> = new Map([["referrerHost", referrerHost], ["deviceClass", deviceClass]])
const BUILT_IN = new Set(["has", "size", "int", "uint", "double", "string", "bool", "bytes", "dyn", "type", "timestamp", "duration", "in"])

const ATTRIBUTES: Readonly<Record<string, (event: EventEnvelope) => unknown>> = {
  id: (event) => event.id,
  type: (event) => event.type,
  source: (event) => event.source,
  time: (event) => event.timeMs,
  tenantid: (event) => event.tenantId,
  userid: (event) => event.userId ?? null,
  anonymousid: (event) => event.anonymousId ?? null,
  sessionid: (event) => event.sessionId ?? null,
  schemaversion: (event) => event.schemaVersion,
  subject: (event) => event.userId !== undefined ? `u:${event.userId}` : event.anonymousId !== undefined ? `a:${event.anonymousId}` : null
}

const compilePath = (path: string): Evaluate => {
  const [, head = "", ...fields] = path.split(".")
  const attribute = Object.hasOwn(ATTRIBUTES, head) ? ATTRIBUTES[head] : undefined
  if (attribute !== undefined && fields.length === 0) return attribute
  if (head !== "data") return () => null
  return (_event, data) => {
    let value = data
    for (const field of fields) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, field)) return null
      value = (value as Readonly<Record<string, unknown>>)[field]
    }
    return value ?? null
  }
}

const PLAIN_PATH = /^event(?:\.[A-Za-z_]\w*)+$/
const TOKENS = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?<![\w.])event(?:\.[A-Za-z_]\w*(?!\w*\s*\())+|(?<![\w.])[A-Za-z_]\w*(?=\s*\()/g

/** The expression evaluated by CEL; event paths are its variables, so a missing one is null. */
export const interpretExpression = (text: string): Evaluate => {
  const paths: Evaluate[] = []
  const environment = new Environment()
  const source = text.replace(TOKENS, (token) => {
    if (PLAIN_PATH.test(token)) {
      environment.registerVariable(`path${paths.length}`, "dyn")
      return `path${paths.push(compilePath(token)) - 1}`
    }
    if (/^[A-Za-z_]/.test(token) && !HELPERS.has(token) && !BUILT_IN.has(token)) throw new DefinitionMissingError({ name: token })
    return token
  })
  for (const [name, helper] of HELPERS) environment.registerFunction(`${name}(dyn): dyn`, helper)
  const evaluate = environment.parse(source)
  return (event, data) => {
    const context: Record<string, unknown> = {}
    for (let at = 0; at < paths.length; at++) context[`path${at}`] = paths[at]!(event, data)
    return evaluate(context) as unknown
  }
}

/** Plain paths and helpers of one as direct access, anything else by CEL. Throws on a text that does not parse. */
export const compileExpression = (text: string): Evaluate => {
  if (PLAIN_PATH.test(text)) return compilePath(text)
  const call = /^(\w+)\((event(?:\.[A-Za-z_]\w*)+)\)$/.exec(text)
  const helper = call === null ? undefined : HELPERS.get(call[1]!)
  if (helper === undefined) return interpretExpression(text)
  const path = compilePath(call![2]!)
  return (event, data) => helper(path(event, data))
}
