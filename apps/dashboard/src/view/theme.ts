/** Light or dark: the system's choice until the reader makes one. */
export type Theme = "light" | "dark"

const STORED_THEME = "tidemark.theme"

const systemTheme = (): Theme => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")

/** The theme in force. */
export const currentTheme = (): Theme => {
  const chosen = document.documentElement.dataset["theme"]
  return chosen === "dark" || chosen === "light" ? chosen : systemTheme()
}

/** Applies the reader's earlier choice, if any. */
export const restoreTheme = (): void => {
  const stored = localStorage.getItem(STORED_THEME)
  if (stored === "dark" || stored === "light") document.documentElement.dataset["theme"] = stored
}

/** Switches to the other theme and remembers it. */
export const toggleTheme = (): void => {
  const next: Theme = currentTheme() === "dark" ? "light" : "dark"
  document.documentElement.dataset["theme"] = next
  localStorage.setItem(STORED_THEME, next)
}
