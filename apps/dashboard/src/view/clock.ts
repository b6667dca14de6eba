/** The page's sense of time: a ticking now, and whether somebody is looking. */
import { useEffect, useState } from "react"

const TICK_MS = 1_000
const HIDDEN_GRACE_MS = 30_000

/** Unix ms, renewed every second; stands still while `frozen`. */
export const useNow = (frozen: boolean): number => {
  const [nowMs, setNowMs] = useState(() => Date.now())
  useEffect(() => {
    if (frozen) return undefined
    const timer = setInterval(() => setNowMs(Date.now()), TICK_MS)
    return () => clearInterval(timer)
  }, [frozen])
  return nowMs
}

/** False once the tab has been hidden for 30 s, true again as soon as it is shown. */
export const useWatched = (): boolean => {
  const [watched, setWatched] = useState(true)
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const change = (): void => {
      clearTimeout(timer)
      if (document.visibilityState === "visible") setWatched(true)
      else timer = setTimeout(() => setWatched(false), HIDDEN_GRACE_MS)
    }
    document.addEventListener("visibilitychange", change)
    return () => {
      clearTimeout(timer)
      document.removeEventListener("visibilitychange", change)
    }
  }, [])
  return watched
}
