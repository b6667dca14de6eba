/** The dashboard in a real browser, against the built server process. */
import { join } from "node:path"
import type { Page } from "playwright-core"
import { describe, expect, it } from "vitest"
import { KEYS, send } from "./processHarness.ts"
import { POLL, hasBrowser, usePages } from "./usePages.ts"

const EVENTS = 20
const FOLLOW_P95_MS_MAX = 1_000
const PAGE_VIEWS = ".tile:has(h2:text-is('Page views')) .figure"

/** Notes in the page when the tile and the sum of the table reach a new number, Unix ms by number. */
const WATCH = `(() => {
  const seen = { tile: {}, table: {} }
  const look = () => {
    const tile = [...document.querySelectorAll(".tile")].find((box) => box.querySelector("h2")?.textContent === "Page views")?.querySelector(".figure")?.textContent
    const table = [...document.querySelectorAll("tbody tr td:nth-child(2)")].reduce((sum, cell) => sum + Number(cell.textContent), 0)
    const now = Date.now()
    seen.tile[tile] ??= now
    seen.table[table] ??= now
  }
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true })
  look()
  window.seen = seen
})()`

interface Seen {
  readonly tile: Readonly<Record<string, number>>
  readonly table: Readonly<Record<string, number>>
}

const percentile95 = (sorted: readonly number[]): number => sorted[Math.ceil(sorted.length * 0.95) - 1] ?? Infinity

const figures = (name: string, delays: readonly number[]) => {
  const sorted = delays.toSorted((a, b) => a - b)
  const p95 = percentile95(sorted)
  process.stdout.write(`send to ${name}: p50 ${sorted[Math.floor(sorted.length / 2)]} ms, p95 ${p95} ms, max ${sorted.at(-1)} ms over ${sorted.length} events\n`)
  return p95
}

describe.skipIf(!hasBrowser)("the dashboard in a browser", () => {
  const { start, open } = usePages()

  const viewed = (n: number, page = "/shoes") => ({ id: `view-${n}`, type: "page.viewed", userId: `user-${n}`, schemaVersion: 2, data: { page, durationMs: 10 } })
  const number = (page: Page) => page.locator(PAGE_VIEWS).textContent()
  const sendMany = async (ingest: string, count: number) => {
    const answer = await send(ingest, KEYS.write, Array.from({ length: count }, (_, n) => viewed(n)))
    expect(answer).toMatchObject({ status: 200, body: { accepted: count } })
  }

  it("says what to do while the tenant is empty, then follows 20 events sent one by one, each within 1 s at p95", async () => {
    const { dashboard, ingest } = await start()
    const { page, faults } = await open(dashboard)
    const card = page.locator(".first-event")
    await card.waitFor()
    expect(await card.textContent()).toMatch(/Send your first event.*curl .*\/v1\/events/s)
    expect(await number(page)).toBe("–")

    await send(ingest, KEYS.write, [viewed(0)])
    await expect.poll(() => number(page), POLL).toBe("1")
    await card.waitFor({ state: "detached" })
    await page.getByRole("button", { name: "Table" }).click()
    await page.evaluate(WATCH)
    const sentAtMs: number[] = []
    for (let n = 1; n <= EVENTS; n += 1) {
      sentAtMs.push(Date.now())
      expect(await send(ingest, KEYS.write, [viewed(n)])).toMatchObject({ status: 200, body: { accepted: 1 } })
      await expect.poll(() => number(page), POLL).toBe(String(n + 1))
    }
    const total = page.locator("tbody tr td:nth-child(2)")
    await expect.poll(async () => (await total.allTextContents()).reduce((sum, text) => sum + Number(text), 0), POLL).toBe(EVENTS + 1)
    const seen = (await page.evaluate("window.seen")) as Seen
    const delays = (by: Readonly<Record<string, number>>) => sentAtMs.map((sentMs, index) => (by[String(index + 2)] ?? Infinity) - sentMs)
    expect(figures("tile", delays(seen.tile))).toBeLessThanOrEqual(FOLLOW_P95_MS_MAX)
    expect(figures("table", delays(seen.table))).toBeLessThanOrEqual(FOLLOW_P95_MS_MAX)
    expect(faults).toEqual([])
  })

  it("opens the proof of a tile by keyboard alone, lists the events behind the window, and gives the focus back", async () => {
    const { dashboard, ingest } = await start()
    await sendMany(ingest, 7)
    const { page, faults } = await open(dashboard)
    await expect.poll(() => number(page), POLL).toBe("7")
    const focused = () => page.evaluate("document.activeElement.getAttribute('aria-label') ?? ''") as Promise<string>
    for (let presses = 0; presses < 30 && !(await focused()).startsWith("Page views: 7"); presses += 1) await page.keyboard.press("Tab")
    expect(await focused()).toMatch(/^Page views: 7 +\. Why\?$/)
    await page.keyboard.press("Enter")
    const dialog = page.getByRole("dialog")
    await dialog.getByText("7 of 7 events found, fingerprint matches").waitFor()
    expect(await dialog.locator(".proof-events li").count()).toBe(7)
    expect(await dialog.locator(".proof-events li").first().textContent()).toMatch(/page\.viewed.*page=\/shoes/)
    expect(await page.evaluate("document.querySelector('dialog').contains(document.activeElement)")).toBe(true)
    await page.keyboard.press("Escape")
    await dialog.waitFor({ state: "detached" })
    expect(await focused()).toMatch(/^Page views: 7/)
    expect(faults).toEqual([])
  })

  it("fits 360, 768 and 1366 px in both themes, with the proof and the status open too", async () => {
    const { dashboard, ingest } = await start()
    const orders = ["EUR", "GBP", "USD"].map((currency, n) => ({ id: `order-${n}`, type: "order.paid", data: { orderId: `order-${n}`, amount: "1234567.89", currency } }))
    await send(ingest, KEYS.write, [...orders, viewed(1, `/a-page-with-a-very-long-name/${"x".repeat(300)}`)])
    const yesterday = new Date(Date.now() - 86_400_000).toISOString()
    const imported = ["page.viewed", "checkout.payment.authorized.by.bank"].map((type, n) => ({ ...viewed(n + 2), id: `import-${n}`, type, time: yesterday, schemaVersion: n === 0 ? 2 : 0 }))
    expect(await send(ingest, KEYS.admin, imported, { "tidemark-backfill": "old" })).toMatchObject({ body: { accepted: 2 } })
    const overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    const dialogOverflow = "document.querySelector('dialog').scrollWidth - document.querySelector('dialog').clientWidth"
    const clipped = `[...document.querySelectorAll(".tile .figure, .tile h2, .pill, .segmented, .controls")].filter((box) => box.scrollWidth > box.clientWidth + 1 || box.getBoundingClientRect().right > innerWidth || box.matches(".segmented") && box.clientHeight > 36).map((box) => box.className + ": " + box.textContent)`
    const wide = `[...document.querySelectorAll(".cards, .generation, .generation dd")].filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.className + ": " + box.textContent)`
    const cut = `[...document.querySelectorAll(".event-type bdi, .event-line time, .event-position")].filter((box) => box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1 || box.getBoundingClientRect().right > innerWidth).map((box) => box.textContent)`
    for (const colorScheme of ["light", "dark"] as const) {
      const backgrounds = { light: "rgb(255, 255, 255)", dark: "rgb(15, 20, 25)" }
      for (const width of [360, 768, 1366]) {
        const { page, faults } = await open(dashboard, { colorScheme, viewport: { width, height: 800 } })
        await expect.poll(() => number(page), POLL).toBe("1")
        expect(await page.evaluate("getComputedStyle(document.querySelector('.panel')).backgroundColor")).toBe(backgrounds[colorScheme])
        expect([colorScheme, width, await page.evaluate(overflow), await page.evaluate(clipped)]).toEqual([colorScheme, width, 0, []])
        await page.locator(".event-line").filter({ hasText: "page.viewed" }).waitFor()
        expect([await page.locator(".event-line").count(), await page.locator(".event-line .chip").count()]).toEqual([4, 0])
        await page.getByRole("button", { name: "Show imports" }).press("Enter")
        await page.locator(".event-line").filter({ hasText: "bank" }).waitFor()
        expect([colorScheme, width, await page.locator(".event-line").count(), await page.locator(".event-line .chip").count(), await page.evaluate(cut), await page.evaluate(overflow)]).toEqual([colorScheme, width, 6, 2, [], 0])
        const screenshots = process.env["TIDEMARK_SCREENSHOTS"]
        if (screenshots !== undefined) await page.locator(".panel:has(.tail)").screenshot({ path: join(screenshots, `events-${colorScheme}-${width}.png`) })
        await page.locator(PAGE_VIEWS).click()
        await page.getByRole("dialog").getByText("fingerprint matches").waitFor()
        expect(await page.evaluate(dialogOverflow)).toBe(0)
        await page.keyboard.press("Escape")
        await page.getByRole("button", { name: "Status" }).click()
        await page.getByRole("dialog").getByText("Everything is ready").waitFor()
        expect(await page.evaluate(dialogOverflow)).toBe(0)
        await page.goto(`${dashboard}?page=projections`)
        await page.getByText("Generation 1 · serving").waitFor()
        expect([colorScheme, width, await page.evaluate(overflow), await page.evaluate(wide)]).toEqual([colorScheme, width, 0, []])
        expect(faults).toEqual([])
        await page.context().close()
      }
    }
  })

  it("lists only live events until imports are asked for, and says so while there are none", async () => {
    const { dashboard, ingest } = await start()
    const old = (n: number) => ({ ...viewed(n), time: new Date(Date.now() - 86_400_000).toISOString() })
    expect(await send(ingest, KEYS.admin, [old(1), old(2)], { "tidemark-backfill": "old" })).toMatchObject({ body: { accepted: 2 } })
    const { page, faults } = await open(dashboard, {}, ".tail .empty")
    const rows = page.locator(".event-line")
    expect([await rows.count(), await page.locator(".tail .empty").textContent()]).toEqual([0, expect.stringMatching(/^The latest events were all imported/) as string])
    expect(await page.locator(".first-event").count()).toBe(0)
    await send(ingest, KEYS.write, [viewed(3)])
    await rows.first().waitFor()
    const imports = page.getByRole("button", { name: "Show imports" })
    expect([await rows.count(), await imports.getAttribute("aria-pressed")]).toEqual([1, "false"])
    await imports.press("Enter")
    await rows.nth(2).waitFor()
    expect([await rows.count(), await page.locator(".event-line .chip").count(), await imports.getAttribute("aria-pressed")]).toEqual([3, 2, "true"])
    await imports.press("Enter")
    await rows.nth(1).waitFor({ state: "detached" })
    expect([await rows.count(), await page.locator(".event-line .chip").count()]).toEqual([1, 0])
    expect(faults).toEqual([])
  })

  it("tells what became of an event of the list, by keyboard alone, also narrow", async () => {
    const { dashboard, ingest } = await start()
    await send(ingest, KEYS.write, [viewed(1)])
    await send(ingest, KEYS.write, [{ ...viewed(2), userId: "user-1", time: Date.now() - 9 * 86_400_000 }])
    const { page, faults } = await open(dashboard, { viewport: { width: 360, height: 800 } })
    const [newest, other] = [page.locator(".event-line").first(), page.locator(".event-line").nth(1)]
    await other.waitFor()
    await newest.press("Enter")
    const journey = page.locator(".journey li").filter({ hasText: "page-views" })
    await expect.poll(() => journey.first().textContent(), POLL).toMatch(/held, not counted, 8 d 23 h late.*\/shoes.*would add duration \d+, views 1, visitors 1/)
    await newest.press("Enter")
    await page.locator(".journey").waitFor({ state: "detached" })
    await other.press("Enter")
    await expect.poll(() => journey.first().textContent(), POLL).toMatch(/counted.*\/shoes.*1 event, still filling.*adds duration/)
    expect(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")).toBe(0)
    expect(faults).toEqual([])
  })

  it("shows what was known at an earlier moment, says so, and comes back to now, by keyboard; both themes, narrow and wide", async () => {
    const { dashboard, ingest } = await start()
    await sendMany(ingest, 3)
    const { page, faults } = await open(dashboard)
    await expect.poll(() => number(page), POLL).toBe("3")
    const moment = new Date(await page.evaluate("Date.now()") as number).toISOString()
    await send(ingest, KEYS.write, [viewed(50), viewed(51)])
    await expect.poll(() => number(page), POLL).toBe("5")
    await page.getByRole("button", { name: "As of", exact: true }).press("Enter")
    const typed = page.getByLabel("Show what was known at")
    await typed.fill("tomorrow")
    await typed.press("Enter")
    await page.getByText("That is no moment in the past.").waitFor()
    await typed.fill(moment)
    await typed.press("Enter")
    await page.getByText("You are looking at the past.").waitFor()
    await expect.poll(() => number(page), POLL).toBe("3")
    expect(await page.locator(".pill").textContent()).toMatch(/^As of #\d+/)
    expect(await page.getByRole("heading", { name: "Live events" }).count()).toBe(0)
    await send(ingest, KEYS.write, [viewed(52)])
    await page.locator(PAGE_VIEWS).click()
    await page.getByRole("dialog").getByText("3 of 3 events found, fingerprint matches").waitFor()
    await page.keyboard.press("Escape")
    await page.getByRole("dialog").waitFor({ state: "detached" })
    const address = page.url()
    expect(await number(page)).toBe("3")
    await page.keyboard.press("Escape")
    await page.getByText("You are looking at the past.").waitFor({ state: "detached" })
    await expect.poll(() => number(page), POLL).toBe("6")
    for (const colorScheme of ["light", "dark"] as const) {
      for (const width of [360, 768, 1366]) {
        const other = await open(address, { colorScheme, viewport: { width, height: 800 } }, ".pill.past")
        await expect.poll(() => number(other.page), POLL).toBe("3")
        expect([colorScheme, width, await other.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"), other.faults]).toEqual([colorScheme, width, 0, []])
        const directory = process.env["TIDEMARK_SCREENSHOTS"]
        if (directory !== undefined) await other.page.screenshot({ path: join(directory, `past-${colorScheme}-${width}.png`), fullPage: true })
        await other.page.context().close()
      }
    }
    expect(faults).toEqual([])
  })

  it("keeps its numbers and says so while the server is gone, and follows again after its restart", async () => {
    const first = await start()
    await sendMany(first.ingest, 3)
    const { page } = await open(first.dashboard)
    await expect.poll(() => number(page), POLL).toBe("3")
    first.child.kill("SIGTERM")
    await first.exit
    await page.getByText("The connection is lost; the numbers are those of the last update.").waitFor({ timeout: 10_000 })
    expect(await page.locator(".pill").textContent()).toMatch(/^Reconnecting \d+ s/)
    expect(await number(page)).toBe("3")
    const second = await start({ TIDEMARK_PORT: new URL(first.dashboard).port })
    await send(second.ingest, KEYS.write, [viewed(100)])
    await expect.poll(() => number(page), { ...POLL, timeout: 30_000 }).toBe("4")
    await page.locator(".pill.live").waitFor()
    await page.locator(".banner").waitFor({ state: "detached" })
    await page.reload()
    await expect.poll(() => number(page), POLL).toBe("4")
  })

  it("rebuilds a projection beside the live one by keyboard: plan, parity, cut over, roll back; both themes, narrow and wide", async () => {
    const { dashboard, ingest } = await start()
    await sendMany(ingest, 5)
    const { page, faults } = await open(`${dashboard}?v=1&page=projections&projection=page-views`)
    await page.getByLabel("Reason").fill("the same again")
    await page.getByLabel("Cap").fill("quick")
    await page.keyboard.press("Enter")
    await page.getByText("The cap is a whole number of events a second").waitFor()
    await page.getByLabel("Cap").fill("100 000")
    await page.keyboard.press("Enter")
    const plan = page.getByRole("status", { name: "Plan; nothing is written yet" })
    await plan.waitFor()
    expect(await plan.textContent()).toMatch(/Reads\d+ records.*Takes.*Writesabout \d+ rows.*Disk.*free.*Sendsnothing/)
    await page.getByRole("button", { name: "Start the rebuild" }).press("Enter")
    const cutOver = page.getByRole("button", { name: "Cut over to generation 2" })
    await expect.poll(() => cutOver.isEnabled(), { ...POLL, timeout: 60_000 }).toBe(true)
    expect(await page.getByText(/Parity at/).textContent()).toMatch(/differ 0 · only old 0 · only new 0/)
    const green = page.getByRole("region", { name: "Generation 2, ready" })
    expect(await green.locator(".track .done").allTextContents()).toHaveLength(5)
    expect(await green.locator(".track [aria-current=step]").textContent()).toMatch(/^Ready now\d\d:\d\d:\d\d/)
    await expect.poll(() => green.getByText(/measured · \d+ rows/).count(), POLL).toBe(1)
    // Danger is typed: another name confirms nothing, and Esc gives the focus back.
    await cutOver.press("Enter")
    const confirm = page.getByRole("dialog", { name: "Cut page-views over to generation 2" })
    const typed = confirm.getByLabel("Type page-views to confirm")
    await typed.fill("page-view")
    expect([await confirm.getByText("No window changes its numbers.").count(), await confirm.getByRole("button", { name: "Cut over" }).isEnabled()]).toEqual([1, false])
    await page.keyboard.press("Escape")
    await confirm.waitFor({ state: "detached" })
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Cut over to generation 2 …")
    await page.keyboard.press("Enter")
    await typed.fill("page-views")
    await page.keyboard.press("Enter")
    const rollBack = page.getByRole("button", { name: "Roll back to generation 1" })
    await rollBack.waitFor()
    await page.getByText(/^Possible until .* UTC, (1 d 0 h|23 h 59 m) from now\.$/).waitFor()
    const generation = page.getByRole("row", { name: /page-views/ }).getByRole("cell").first()
    await expect.poll(() => generation.textContent(), POLL).toBe("2")
    await rollBack.press("Enter")
    const back = page.getByRole("dialog", { name: "Roll page-views back to generation 1" })
    await back.getByLabel("Why").fill("to see the way back")
    await back.getByLabel("Type page-views to confirm").fill("page-views")
    await page.keyboard.press("Enter")
    await expect.poll(() => generation.textContent(), POLL).toBe("1")
    await page.getByText(/Log of this rebuild/).press("Enter")
    expect(await page.locator(".log li").allTextContents()).toEqual(expect.arrayContaining([expect.stringMatching(/UTC Serving$/), expect.stringMatching(/UTC Standby$/)]))
    for (const colorScheme of ["light", "dark"] as const) {
      for (const width of [360, 768, 1366]) {
        const other = await open(`${dashboard}?v=1&page=projections&projection=page-views`, { colorScheme, viewport: { width, height: 800 } })
        await other.page.getByRole("heading", { name: /Generation 1 · serving/ }).waitFor()
        expect([colorScheme, width, await other.page.evaluate("document.documentElement.scrollWidth - innerWidth"), other.faults]).toEqual([colorScheme, width, 0, []])
        await other.page.context().close()
      }
    }
    expect(faults).toEqual([])
  })
})
