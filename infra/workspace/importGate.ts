/** Reads what a source imports and says which of it no row of a table allows. */
import { posix } from "node:path"
import { parseAst } from "vitest/node"

/**
 * What the sources of one folder, or one file, may import beside their own room. Rows of a folder and of what is in it add up.
 *
 * An entry is a room or a part of one (`domain`, `domain/ports`), a package (its name allows its sub-paths; `name/*` allows
 * sub-paths of one segment and not the package itself), a built-in of Node by its exact name, or `COMPUTED`.
 */
export interface ImportRow {
  readonly at: string
  readonly imports: readonly string[]
  /** What specs and contracts import beside that. */
  readonly specs?: readonly string[]
}

/** One import: the module as the table names it (a path from the root, a package, a built-in) and the line, counted from 1. */
export interface FoundImport {
  readonly target: string
  readonly line: number
}

/** The target of an import whose module is computed when it runs. */
export const COMPUTED = "(computed)"

const SPEC = /\.(spec|contract)\.tsx?$/

const isNode = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null

/** The module that a node of the syntax tree imports, as an expression; undefined when it imports nothing. */
const sourceOf = (node: Record<string, unknown>): unknown => {
  switch (node["type"]) {
    case "ImportDeclaration":
    case "ExportAllDeclaration":
    case "ExportNamedDeclaration":
    case "ImportExpression":
    case "TSImportType":
      return node["source"] ?? undefined
    case "TSExternalModuleReference":
      return node["expression"]
    case "CallExpression": {
      const callee = node["callee"]
      return isNode(callee) && callee["name"] === "require" ? (node["arguments"] as unknown[])[0] : undefined
    }
    default:
      return undefined
  }
}

const textOf = (source: unknown): string | undefined => {
  if (!isNode(source)) return undefined
  if (source["type"] === "Literal" && typeof source["value"] === "string") return source["value"]
  const quasis = source["quasis"] as { value: { cooked: string } }[] | undefined
  return quasis?.length === 1 ? quasis[0]?.value.cooked : undefined
}

/** The folder that is one room: a top folder, or a folder in `infra` and `apps`. */
const roomOf = (path: string): string => {
  const parts = path.split("/")
  return parts[0] === "infra" || parts[0] === "apps" ? parts.slice(0, 2).join("/") : parts.length === 1 ? "" : (parts[0] ?? "")
}

/**
 * Every static, dynamic and type import of a source, exports from a module and `require` among them.
 *
 * @param file the source's path from the root
 * @param folders the folder of every workspace by its package name
 */
export const importsIn = (file: string, text: string, folders: ReadonlyMap<string, string>): readonly FoundImport[] => {
  const found: FoundImport[] = []
  const targetOf = (module: string | undefined): string => {
    if (module === undefined) return COMPUTED
    if (module.startsWith(".")) return posix.normalize(posix.join(posix.dirname(file), module))
    const [scope = "", name = "", ...rest] = module.split("/")
    const folder = folders.get(`${scope}/${name}`)
    return folder === undefined ? module : [folder, ...rest].join("/")
  }
  const walk = (node: unknown): void => {
    if (Array.isArray(node)) for (const item of node) walk(item)
    else if (isNode(node)) {
      const source = sourceOf(node)
      if (source !== undefined) {
        found.push({ target: targetOf(textOf(source)), line: text.slice(0, Number(node["start"])).split("\n").length })
      }
      for (const key in node) walk(node[key])
    }
  }
  walk(parseAst(text, { lang: file.endsWith(".tsx") ? "tsx" : "ts" }, file))
  return found
}

/** Whether one entry of a table covers a target. */
export const covers = (entry: string, target: string): boolean => {
  if (entry.endsWith("/*")) return target.startsWith(entry.slice(0, -1)) && !target.slice(entry.length - 1).includes("/")
  return target === entry || (!entry.startsWith("node:") && target.startsWith(entry + "/"))
}

/** What the rows that speak of a file let it import. */
const allowedTo = (rows: readonly ImportRow[], file: string): readonly string[] =>
  rows
    .filter((row) => file === row.at || file.startsWith(row.at + "/") || (row.at === "" && !file.includes("/")))
    .flatMap((row) => (SPEC.test(file) ? [...row.imports, ...(row.specs ?? [])] : row.imports))

/** `file:line imports target` of every import that no row allows. Nothing is allowed that is not listed. */
export const refusals = (rows: readonly ImportRow[], file: string, imports: readonly FoundImport[]): readonly string[] => {
  const allowed = allowedTo(rows, file)
  return imports
    .filter(({ target }) => (target.includes("/") ? roomOf(target) !== roomOf(file) || target.startsWith("..") : true))
    .filter(({ target }) => !allowed.some((entry) => covers(entry, target)))
    .map(({ target, line }) => `${file}:${line} imports ${target}`)
}
