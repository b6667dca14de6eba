/** The time machine on the page: moments pinned and compared, the slider, the life of a window. */
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { KEYS, send } from "./processHarness.ts"
import { OVERFLOW, POLL, hasBrowser, inEveryShape, usePages } from "./usePages.ts"

const PAGE_VIEWS = ".tile:has(h2:text-is('Page views')) .figure"
const MINUTE_MS = 60_000

describe.skipIf(!hasBrowser)("the time machine", () => {
  const { start, open } = usePages()

  it("compares two moments window by window, and tells how a window became what it is, by keyboard; both themes, narrow and wide", async () => {
    const { dashboard, ingest } = await start()
    const minute = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS
    const viewed = (id: string, page: string, time: number) => ({ id, type: "page.viewed", userId: id, time, schemaVersion: 2, data: { page, durationMs: 10 } })
    await send(ingest, KEYS.write, [viewed("a", "/shoes", minute - 10 * MINUTE_MS), viewed("b", "/hats", minute - 5 * MINUTE_MS)])
    const { page, faults } = await open(dashboard)
    const number = () => page.locator(PAGE_VIEWS).textContent()
    await expect.poll(number, POLL).toBe("2")
    await page.getByRole("button", { name: "As of", exact: true }).press("Enter")
    await page.getByRole("button", { name: "Pin this moment as A" }).press("Enter")
    expect(await page.locator(".built-note").textContent()).toMatch(/^generation 1 begun \d\d:\d\d:\d\d UTC$/)
    await page.getByText("No window of this range is another one at the two moments.").waitFor()
    await send(ingest, KEYS.write, [viewed("c", "/shoes", minute - 10 * MINUTE_MS + 1_000), viewed("d", "/new", minute - 3 * MINUTE_MS)])
    await expect.poll(number, POLL).toBe("4")

    const rows = page.locator(".comparison tbody tr")
    await expect.poll(() => rows.allTextContents(), POLL).toEqual([expect.stringMatching(/UTC.*\/shoes1 → 21 → 21 → 2$/), expect.stringMatching(/UTCnew.*\/new– → 1– → 1– → 1$/)])
    expect(await page.locator(".comparison .note").first().textContent()).toMatch(/^From A to B: A is \d\d:\d\d:\d\d UTC, B is now\. 2 of 3 windows changed; \d+ records of the log between them\.$/)
    await page.getByLabel("Compare").selectOption("event-counts")
    await expect.poll(() => rows.allTextContents(), POLL).toEqual([expect.stringMatching(/page\.viewed1 → 2/), expect.stringMatching(/page\.viewed– → 1/)])
    await page.getByLabel("Compare").selectOption("page-views")

    await page.locator(".comparison tbody tr").filter({ hasText: "/shoes" }).getByRole("button").press("Enter")
    const dialog = page.getByRole("dialog")
    await dialog.getByText("2 of 2 events found, fingerprint matches").waitFor()
    await dialog.getByRole("button", { name: "How it became what it is" }).press("Enter")
    await expect.poll(() => dialog.locator(".chapters li").allTextContents(), POLL).toEqual([expect.stringMatching(/UTC1opened · 1 event/), expect.stringMatching(/UTC2(grew|was revised) · 2 events/)])
    await page.keyboard.press("Escape")
    await dialog.waitFor({ state: "detached" })

    const address = page.url()
    await inEveryShape(open, address, ".comparison tbody tr", async (other, name) => {
      expect([name, await other.page.evaluate(OVERFLOW), other.faults]).toEqual([name, 0, []])
      const directory = process.env["TIDEMARK_SCREENSHOTS"]
      if (directory !== undefined) await other.page.screenshot({ path: join(directory, `comparison-${name}.png`), fullPage: true })
    })

    const slider = page.getByLabel(/^Known at/)
    await slider.press("ArrowLeft")
    await page.getByText("You are looking at the past.").waitFor()
    await expect.poll(number, POLL).not.toBe("4")
    expect(page.url()).toMatch(/asof=.*&pin=/)
    await page.keyboard.press("Escape")
    await page.getByText("You are looking at the past.").waitFor({ state: "detached" })
    await page.locator("body").press("[")
    await page.getByText("You are looking at the past.").waitFor()
    await page.locator("body").press("]")
    await page.getByText("You are looking at the past.").waitFor({ state: "detached" })
    await expect.poll(number, POLL).toBe("4")
    await page.keyboard.press("Escape")
    await page.locator(".comparison").waitFor({ state: "detached" })
    expect(faults).toEqual([])
  })
})
