/** What is in no number, on its page: late events, dead letters and refused ones; counting held events by hand. */
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { KEYS, ask, send } from "./processHarness.ts"
import { OVERFLOW, POLL, hasBrowser, inEveryShape, usePages } from "./usePages.ts"

const DAY_MS = 86_400_000
const WIDE = `[...document.querySelectorAll(".table-box")].filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.getAttribute("aria-label"))`

describe.skipIf(!hasBrowser)("the page of what is kept aside", () => {
  const { start, open } = usePages()
  const viewed = (id: string, time: number, page = "/shoes") => ({ id, type: "page.viewed", userId: "user-1", time, schemaVersion: 2, data: { page, durationMs: 10 } })

  /** Two held events, one that came late and counts, one dead letter of revenue, two refused events. */
  const startWithLedgers = async () => {
    const server = await start()
    const nowMs = Date.now()
    await send(server.ingest, KEYS.write, [viewed("now", nowMs)])
    await send(server.ingest, KEYS.write, [viewed("held-1", nowMs - 9 * DAY_MS), viewed("held-2", nowMs - 9 * DAY_MS, `/a-page-with-a-very-long-name/${"x".repeat(200)}`), viewed("late", nowMs - 3_600_000)])
    await send(server.ingest, KEYS.write, [{ id: "digits", type: "order.paid", data: { orderId: "digits", amount: "1.12345678", currency: "EUR" } }])
    await send(server.ingest, KEYS.write, [{ ...viewed("wrong", nowMs), data: { page: 7 } }, { type: "page.viewed", time: "yesterday" }])
    const heldOnes = async () => ((await ask(server.graphql, KEYS.read, '{ lateEvents(projection: "page-views", outcome: HELD) { edges { node { eventId } } } }')) as { data: { lateEvents: { edges: readonly object[] } } }).data.lateEvents.edges
    await expect.poll(heldOnes, POLL).toHaveLength(2)
    return server
  }

  it("counts held events by hand, by keyboard: chosen, shown what would change, then counted once", async () => {
    const { dashboard, ingest } = await startWithLedgers()
    const { page, faults } = await open(`${dashboard}?page=late`)
    await page.getByLabel("Projection").selectOption("page-views")
    const rows = page.locator(".ledger tbody tr")
    await expect.poll(() => rows.count(), POLL).toBe(2)
    expect(await page.getByRole("button", { name: /^Held/ }).textContent()).toBe("Held 2")
    await page.getByLabel("Choose held-1").press("Space")
    await page.getByLabel("Reason").press("Enter")
    await page.getByText("Say why: the reason is kept").waitFor()
    await page.getByLabel("Reason").fill("the phone was off")
    await page.getByLabel("Reason").press("Enter")
    await page.getByText("1 event would be counted: 3 minutes of 3 projections, with their hours and days.").waitFor()
    expect(await page.getByRole("region", { name: "What changes" }).getByRole("row").allTextContents()).toEqual(expect.arrayContaining([expect.stringMatching(/^held-1page-views.*\/shoes.*views 1/)]))
    await page.getByRole("button", { name: "Count the event" }).press("Enter")
    await page.getByText("1 event was counted: 3 minutes of 3 projections").waitFor()
    await expect.poll(() => rows.count(), POLL).toBe(1)
    await page.getByRole("button", { name: /^Late, counted/ }).press("Enter")
    await expect.poll(() => page.locator(".ledger tbody tr").filter({ hasText: "held-1" }).textContent(), POLL).toMatch(/8 d 23 h.*counted by hand/)
    await page.getByRole("button", { name: "held-1" }).press("Enter")
    await expect.poll(() => page.getByRole("dialog").locator("li").filter({ hasText: "page-views" }).textContent(), POLL).toMatch(/counted by hand, 8 d 23 h late: the phone was off/)
    expect(await send(ingest, KEYS.write, [viewed("held-1", Date.now())])).toMatchObject({ body: { duplicate: 1 } })
    expect(faults).toEqual([])
  })

  it("sends a refused event again once it is corrected, checked first", async () => {
    const { dashboard, ingest } = await startWithLedgers()
    const { page, faults } = await open(`${dashboard}?page=late&list=rejected`)
    await page.getByRole("button", { name: "wrong" }).press("Enter")
    await page.getByLabel("Reason").fill("the page was a number")
    await page.getByLabel("Reason").press("Enter")
    await page.getByText("It is refused again: /data/page: expected string, got number.").waitFor()
    const body = page.getByLabel("The event, as it should be")
    await body.fill((await body.inputValue()).replace(/"page": 7/, '"page": "/mended"'))
    await page.getByRole("button", { name: "Check it" }).press("Enter")
    await page.getByText("It would be taken, as event wrong.").waitFor()
    await page.getByRole("button", { name: "Send it again" }).press("Enter")
    await expect.poll(() => page.locator(".ledger tbody tr").filter({ hasText: "page was a number" }).first().textContent(), POLL).toMatch(/sent again, at \d\/\d+: the page was a number/)
    await page.getByRole("button", { name: "sent again" }).press("Enter")
    await expect.poll(() => page.getByRole("dialog").locator("li").filter({ hasText: "page-views" }).textContent(), POLL).toMatch(/counted.*\/mended/)
    expect(await send(ingest, KEYS.write, [viewed("wrong", Date.now())])).toMatchObject({ body: { duplicate: 1 } })
    expect(faults).toEqual([])
  })

  it("keeps the list in its address and tells dead letters and refused events, both themes, narrow and wide", async () => {
    const { dashboard } = await startWithLedgers()
    const { page, faults } = await open(`${dashboard}?page=late`)
    await page.getByLabel("Projection").selectOption("revenue")
    await page.getByText("Nothing of revenue is held").waitFor()
    await page.getByRole("button", { name: /^Dead letters/ }).click()
    await expect.poll(() => page.locator(".ledger tbody tr").allTextContents(), POLL).toEqual([expect.stringMatching(/^digitsorder\.paid · \d\/\d+DECIMAL_SCALE\/measures\/amount.*more digits/)])
    expect(page.url()).toMatch(/page=late&projection=revenue&list=dead/)
    await page.getByRole("button", { name: /^Rejected/ }).click()
    await expect.poll(() => page.locator(".ledger tbody tr").allTextContents(), POLL).toEqual(expect.arrayContaining([expect.stringMatching(/^wrongpage\.viewedschema.*\/data\/page/), expect.stringMatching(/^no idpage\.viewedtime.*\/time.*RFC 3339/)]))
    await page.getByRole("button", { name: "wrong" }).click()
    await page.getByText('"data":{"page":7}').first().waitFor()
    await page.getByRole("link", { name: "Projections" }).click()
    await page.getByText(/\d+ windows? recomputed from the log, none differs/).waitFor()
    expect(faults).toEqual([])
    for (const list of ["held", "rejected"]) {
      await inEveryShape(open, `${dashboard}?page=late&projection=page-views&list=${list}`, ".ledger tbody tr", async (other, name) => {
        expect([list, name, await other.page.evaluate(OVERFLOW), await other.page.evaluate(WIDE), other.faults]).toEqual([list, name, 0, [], []])
        const directory = process.env["TIDEMARK_SCREENSHOTS"]
        if (directory !== undefined) await other.page.screenshot({ path: join(directory, `${list}-${name}.png`), fullPage: true })
      })
    }
  })
})
