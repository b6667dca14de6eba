/** Asks for a read key when the server does not hand one out. */
import { useId, useState } from "react"
import { checkKey } from "../data/questions.ts"
import type { FormEvent } from "react"

export const SignIn = ({ onKey }: { readonly onKey: (readKey: string) => void }) => {
  const id = useId()
  const [error, setError] = useState<string>()
  const [busy, setBusy] = useState(false)
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const readKey = String(new FormData(event.currentTarget).get("key") ?? "").trim()
    if (readKey === "") return setError("Type or paste a read key.")
    setBusy(true)
    checkKey(readKey).then(
      () => onKey(readKey),
      (reason: unknown) => {
        setBusy(false)
        setError(reason instanceof Error ? reason.message : "The key could not be checked.")
      }
    )
  }
  return (
    <main className="sign-in">
      <form className="panel" onSubmit={submit}>
        <h1>Tidemark</h1>
        <p>Sign in with a read key. On the machine that runs the server this happens by itself.</p>
        <label htmlFor={id}>Read key</label>
        <input id={id} name="key" type="password" autoComplete="off" spellCheck={false} placeholder="tm_rk_…" aria-invalid={error !== undefined} aria-describedby={`${id}-error`} />
        <p id={`${id}-error`} className="form-error" role="alert">{error}</p>
        <button type="submit" className="primary" disabled={busy}>{busy ? "Checking …" : "Sign in"}</button>
        <p className="note">Keys are printed at the first start, and kept in <code>keys.json</code> of the data directory.</p>
      </form>
    </main>
  )
}
