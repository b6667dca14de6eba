/** Signs in, keeps the page state in the URL, and shows the page. */
import { useQuery, useQueryClient } from "@tanstack/react-query"
import { useEffect, useState } from "react"
import { addressOf, loadSession, rememberKey, sessionOfKey, tenantOf } from "../data/session.ts"
import { parsePageState } from "../model/range.ts"
import { Dashboard } from "./Dashboard.tsx"
import { Failure } from "./Panel.tsx"
import { SignIn } from "./SignIn.tsx"
import type { PageState } from "../model/range.ts"
import type { Session } from "../data/session.ts"

/** The page state of the URL, and the way to another one. */
const usePageState = (): readonly [PageState, (state: PageState) => void] => {
  const [search, setSearch] = useState(location.search)
  useEffect(() => {
    const changed = (): void => setSearch(location.search)
    addEventListener("popstate", changed)
    return () => removeEventListener("popstate", changed)
  }, [])
  const go = (state: PageState): void => {
    history.pushState(null, "", addressOf(state))
    setSearch(location.search)
  }
  return [parsePageState(search), go]
}

export const App = () => {
  const queryClient = useQueryClient()
  const session = useQuery({ queryKey: ["session"], queryFn: async () => (await loadSession()) ?? null, staleTime: Infinity })
  const [typed, setTyped] = useState<Session>()
  const [page, go] = usePageState()
  const current = typed ?? session.data ?? undefined
  const tenant = current === undefined ? undefined : tenantOf(current, addressOf(page).slice(location.pathname.length))
  if (session.isPending) return <main className="sign-in"><p className="note" role="status">Opening …</p></main>
  if (session.error !== null && current === undefined) return <main className="sign-in"><Failure error={session.error} retry={session.refetch} /></main>
  const signIn = (readKey: string): void => {
    rememberKey(readKey)
    setTyped(sessionOfKey(readKey))
  }
  const signOut = (): void => {
    rememberKey(undefined)
    setTyped(undefined)
    queryClient.clear()
    queryClient.setQueryData(["session"], null)
  }
  if (current === undefined || tenant === undefined) return <SignIn onKey={signIn} />
  const ownKey = tenant.name === "own"
  return <Dashboard key={`${tenant.name} ${tenant.readKey}`} session={current} tenant={tenant} page={page} go={go} signOut={ownKey ? signOut : undefined} />
}
