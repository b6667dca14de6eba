/** A mended projection in the rebuild console: what differs as a map, one window down to its events, accepted with a note, served. */
import { join } from "node:path"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { KEYS, send } from "./processHarness.ts"
import { wrong } from "./rebuildLoad.ts"
import { OVERFLOW, POLL, hasBrowser, inEveryShape, usePages } from "./usePages.ts"

const PARTITIONS = "2"
const WIDE = `[...document.querySelectorAll(".generation, .generation dd, .track li, .throttle, .buttons")].filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.className + ": " + box.textContent.slice(0, 60))`

describe.skipIf(!hasBrowser)("the rebuild console of a mended projection", () => {
  const { start, open, directory } = usePages()

  /** `/shoes` has two internal views, which the served generation leaves out, and one other; `/hats` has none. */
  const startWrong = async () => {
    const configuration = readConfiguration({ flags: new Map(), environment: { TIDEMARK_MODE: "embedded", TIDEMARK_PARTITIONS: PARTITIONS, TIDEMARK_DATA_DIR: directory() }, workingDirectory: directory(), terminal: false })
    await Effect.runPromise(ensureGenerations([wrong]).pipe(Effect.provide(engines(configuration))))
    const server = await start({ TIDEMARK_PARTITIONS: PARTITIONS })
    const time = Date.now() - 90_000
    const viewed = (id: string, page: string, internal: boolean) => ({ id, type: "page.viewed", userId: "user-1", time, schemaVersion: 2, data: { page, durationMs: 10, internal } })
    expect(await send(server.ingest, KEYS.write, [viewed("a", "/shoes", false), viewed("b", "/shoes", true), viewed("c", "/shoes", true), viewed("d", "/hats", false)])).toMatchObject({ status: 200, body: { accepted: 4 } })
    return server
  }

  it("maps what differs by key and hour, shows the events behind a window, asks why that is right, and serves it; by keyboard, in every shape", async () => {
    const { dashboard } = await startWrong()
    const address = `${dashboard}?v=1&page=projections&projection=page-views`
    const { page, faults } = await open(address, {}, ".generation.blue")
    await page.getByText("The shipped definition is another one").waitFor()
    await page.getByLabel("Reason").fill("internal views were left out")
    await page.getByLabel("Reason").press("Enter")
    await page.getByRole("button", { name: "Start the rebuild" }).press("Enter")
    const cutOver = page.getByRole("button", { name: "Cut over to generation 2" })
    await expect.poll(() => cutOver.isEnabled(), { ...POLL, timeout: 90_000 }).toBe(true)
    expect(await page.getByText(/Parity at/).textContent()).toMatch(/compared 6 · equal 3 · differ 3 · only old 0 · only new 0/)

    const cell = page.locator(".map .cell")
    await cell.first().waitFor()
    expect([await cell.count(), await cell.getAttribute("aria-label")]).toEqual([1, expect.stringMatching(/^\/shoes, \d+ \w+ \d\d:00 UTC: 1 window, 1 by other events$/) as string])
    expect(await page.getByRole("button", { name: "Input differs · 3" }).count()).toBe(1)
    await cell.press("Enter")
    const rows = page.getByRole("region", { name: "Differing windows" }).locator("tbody tr")
    expect([await cell.getAttribute("aria-pressed"), await rows.count()]).toEqual(["true", 2])
    await rows.first().getByRole("button").press("Enter")
    const dialog = page.getByRole("dialog")
    await dialog.getByText("Events: 1 counted by both · 0 only by gen 1 · 2 only by gen 2").waitFor()
    expect((await dialog.locator(".figures-pair tbody tr").allTextContents()).filter((text) => text.startsWith("views"))).toEqual(["views differs13"])
    expect((await dialog.locator(".proof-events li.apart").allTextContents()).map((text) => [text.includes("only gen 2"), text.includes("first to differ"), text.includes("internal=true")])).toEqual([[true, true, true], [true, false, true]])
    await page.keyboard.press("Escape")
    await dialog.waitFor({ state: "detached" })

    await inEveryShape(open, address, ".map .cell", async (other, name) => {
      expect([name, await other.page.evaluate(OVERFLOW), await other.page.evaluate(WIDE), other.faults]).toEqual([name, 0, [], []])
      const screenshots = process.env["TIDEMARK_SCREENSHOTS"]
      if (screenshots !== undefined) await other.page.locator(".panel:has(.generations)").screenshot({ path: join(screenshots, `rebuild-${name}.png`) })
    })

    await cutOver.press("Enter")
    const confirm = page.getByRole("dialog", { name: "Cut page-views over to generation 2" })
    await confirm.getByText("3 windows change their numbers.").waitFor()
    await confirm.getByLabel("Type page-views to confirm").fill("page-views")
    expect(await confirm.getByRole("button", { name: "Cut over" }).isEnabled()).toBe(false)
    await confirm.getByLabel("Why these differences are right").fill("internal views count")
    await page.keyboard.press("Enter")
    await page.getByRole("button", { name: "Roll back to generation 1" }).waitFor()
    expect(await page.getByText(/Parity at/).textContent()).toContain("accepted: internal views count")
    expect(faults).toEqual([])
  })
})
