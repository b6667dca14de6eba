/**
 * Series colours. Each palette belongs to its theme's background; they are not interchangeable.
 *
 * Rule: at least 3:1 on the background, and ΔE76 of at least 36 between any two under normal, protan, deutan and
 * tritan vision. The stylesheet repeats these values as `--series-1` … `--series-6`.
 */
export const BACKGROUNDS = { light: "#ffffff", dark: "#0f1419" } as const

export const SERIES_COLOURS = {
  light: ["#4080e0", "#ff6000", "#602040", "#8000ff", "#c080a0", "#800000"],
  dark: ["#00e0ff", "#ffa020", "#c0e0a0", "#a040ff", "#008080", "#c02020"]
} as const

/** CSS colour of the series at `index`; the seventh and later share the neutral colour of "other". */
export const seriesColour = (index: number): string => (index < 6 ? `var(--series-${index + 1})` : "var(--series-other)")
