/**
 * Who is looking: keys handed out by the local server, or one typed by hand.
 */
import { formatPageState, parsePageState } from "../model/range.ts"

export interface Tenant {
  readonly name: string
  readonly readKey: string
  readonly writeKey?: string
  readonly adminKey?: string
}

export interface Session {
  readonly tenants: readonly Tenant[]
  /** Write and admin key of tenant `default`, where the server hands them out. */
  readonly writeKey?: string
  readonly adminKey?: string
  readonly version?: string
}

const STORED_KEY = "tidemark.readKey"

/** A session around one typed read key; its tenant is known to the server alone. */
export const sessionOfKey = (readKey: string): Session => ({ tenants: [{ name: "own", readKey }] })

const storedSession = (): Session | undefined => {
  const key = sessionStorage.getItem(STORED_KEY)
  return key === null ? undefined : sessionOfKey(key)
}

/** This start's token, which the server puts into the page for a browser on its own machine; empty elsewhere. */
const tokenOfPage = (): string => document.querySelector<HTMLMetaElement>('meta[name="tidemark-token"]')?.content ?? ""

/** Keeps a typed key for this browser tab; undefined forgets it. */
export const rememberKey = (readKey: string | undefined): void => {
  if (readKey === undefined) sessionStorage.removeItem(STORED_KEY)
  else sessionStorage.setItem(STORED_KEY, readKey)
}

/** The session of this browser, or undefined when a key has to be typed. Throws when the server does not answer. */
export const loadSession = async (): Promise<Session | undefined> => {
  const token = tokenOfPage()
  if (token === "") return storedSession()
  const response = await fetch("/session.json", { headers: { accept: "application/json", "tidemark-token": token } })
  if (!response.ok || !(response.headers.get("content-type") ?? "").includes("json")) {
    if (response.status >= 500) throw new Error(`The server answered ${response.status}.`)
    return storedSession()
  }
  const answer = (await response.json()) as Partial<Session> & { readonly readKey?: string }
  const tenants = answer.tenants !== undefined && answer.tenants.length > 0 ? answer.tenants : [{ name: "default", readKey: answer.readKey ?? "" }]
  return {
    tenants,
    ...(answer.writeKey === undefined ? {} : { writeKey: answer.writeKey }),
    ...(answer.adminKey === undefined ? {} : { adminKey: answer.adminKey }),
    ...(answer.version === undefined ? {} : { version: answer.version })
  }
}

/** The tenant the URL names; else the demo, which has data from the first second; else the first. */
export const tenantOf = (session: Session, search: string): Tenant | undefined => {
  const wanted = parsePageState(search).tenant
  return session.tenants.find((tenant) => tenant.name === wanted) ?? session.tenants.find((tenant) => tenant.name === "demo") ?? session.tenants[0]
}

/** Address of this page with another page state. */
export const addressOf = (state: Parameters<typeof formatPageState>[0]): string => `${location.pathname}${formatPageState(state)}`
