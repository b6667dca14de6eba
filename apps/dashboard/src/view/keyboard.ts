/** Single-key shortcuts of the page; never while somebody types, and never with a modifier. */
import { useEffect, useRef } from "react"

export type Shortcuts = Readonly<Record<string, () => void>>

/** Inputs that take no text. */
const UNTYPED: readonly string[] = ["range", "checkbox"]

const isTyping = (target: EventTarget | null): boolean =>
  (target instanceof HTMLInputElement && !UNTYPED.includes(target.type)) || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement

/** Space and Enter keep their meaning on buttons and boxes. */
const isPressable = (target: EventTarget | null): boolean =>
  target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement || (target instanceof HTMLInputElement && target.type === "checkbox")

export const useShortcuts = (shortcuts: Shortcuts): void => {
  const latest = useRef(shortcuts)
  useEffect(() => {
    latest.current = shortcuts
  })
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
      if (document.querySelector("dialog[open]") !== null) return
      if (event.key === " " && isPressable(event.target)) return
      const action = latest.current[event.key]
      if (action === undefined) return
      event.preventDefault()
      action()
    }
    document.addEventListener("keydown", press)
    return () => document.removeEventListener("keydown", press)
  }, [])
}
