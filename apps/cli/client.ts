/**
 * The CLI's way to a running Tidemark: URL and keys from flags, environment or the local data directory, HTTP and
 * GraphQL with errors that say what to do next.
 */
import { existsSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"

/** Ends the program with an exit code: 1 failed, 2 usage, 3 parity differs, 4 not caught up, 5 unreachable. */
export class CliError extends Error {
  override readonly name = "CliError"
  readonly exitCode: number
  constructor(message: string, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

export type KeyRole = "write" | "read" | "admin"

export interface GlobalOptions {
  readonly url?: string
  readonly key?: string
  readonly tenant?: string
  readonly json?: boolean
}

export interface Client {
  readonly url: string
  readonly keyFor: (role: KeyRole) => string
  readonly request: (path: string, init?: RequestInit) => Promise<Response>
  readonly graphql: <T>(query: string, variables: Record<string, unknown>, role?: KeyRole) => Promise<T>
}

type Environment = Readonly<Record<string, string | undefined>>
type KeyFile = Readonly<Record<string, Partial<Record<KeyRole, string>>>>

const localKeys = (environment: Environment): KeyFile => {
  const file = join(resolve(environment["TIDEMARK_DATA_DIR"] ?? ".tidemark"), "keys.json")
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as KeyFile) : {}
}

/** A key for the role: flag, then environment, then the local data directory's key file. */
const findKey = (role: KeyRole, options: GlobalOptions, environment: Environment): string => {
  if (options.key !== undefined) return options.key
  const tenant = options.tenant ?? "default"
  const variable = tenant === "default" ? (environment[`TIDEMARK_${role.toUpperCase()}_KEY`] ?? environment["TIDEMARK_ADMIN_KEY"]) : undefined
  const keys = localKeys(environment)[tenant]
  const found = variable ?? keys?.[role] ?? keys?.admin
  if (found !== undefined) return found
  throw new CliError(`No ${role} key for tenant "${tenant}": set TIDEMARK_${role.toUpperCase()}_KEY, give --key, or run in the folder that holds .tidemark.`, 2)
}

/** Errors that end with an exit code of their own. */
const EXIT_CODES: ReadonlyMap<string, number> = new Map([["PARITY_DIFFERS", 3], ["TARGET_BEHIND", 4]])

/** A client of the given options; nothing is sent before its first use. */
export const makeClient = (options: GlobalOptions, environment: Environment): Client => {
  const url = (options.url ?? environment["TIDEMARK_URL"] ?? "http://127.0.0.1:4000").replace(/\/$/, "")
  const request = async (path: string, init: RequestInit = {}): Promise<Response> => {
    try {
      return await fetch(url + path, init)
    } catch {
      throw new CliError(`Tidemark does not answer at ${url}: start it with \`npm start\`, or set TIDEMARK_URL.`, 5)
    }
  }
  const graphql = async <T>(query: string, variables: Record<string, unknown>, role: KeyRole = "read"): Promise<T> => {
    const headers = { authorization: `Bearer ${findKey(role, options, environment)}`, "content-type": "application/json" }
    const response = await request("/graphql", { method: "POST", headers, body: JSON.stringify({ query, variables }) })
    const answer = (await response.json().catch(() => ({}))) as {
      data?: T
      errors?: { message: string; extensions?: { code?: string } }[]
      detail?: string
    }
    const error = answer.errors?.[0]
    if (error !== undefined) throw new CliError(`${error.extensions?.code ?? "ERROR"}: ${error.message}`, EXIT_CODES.get(error.extensions?.code ?? ""))
    if (answer.data === undefined || answer.data === null) throw new CliError(`${response.status}: ${answer.detail ?? "no data in the answer"}`)
    return answer.data
  }
  return { url, keyFor: (role) => findKey(role, options, environment), request, graphql }
}
