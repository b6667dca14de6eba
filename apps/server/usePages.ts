/** The dashboard's pages in a real browser, each against a built server process of its own data, for specifications. */
import { existsSync } from "node:fs"
import { chromium } from "playwright-core"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import { afterAll, afterEach, beforeAll } from "vitest"
import { useProcesses } from "./useProcesses.ts"

const CHROMIUM = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium"

export const hasBrowser = existsSync(CHROMIUM)

/** Polls of what a page shows. */
export const POLL = { timeout: 20_000, interval: 50 }

export interface Watched {
  readonly page: Page
  /** Console errors, page errors, and requests to another origin. */
  readonly faults: string[]
}

/** Pixels by which the document is wider than the window. */
export const OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

/** Call within a suite: `start` starts a server on the test's data `directory`, `open` a page that is watched; both end with the test. */
export const usePages = () => {
  const processes = useProcesses("page")
  let browser: Browser
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] })
  })
  afterAll(() => browser.close())
  afterEach(() => Promise.all(browser.contexts().map((context) => context.close())))

  const start = async (environment: Record<string, string> = {}) => {
    const one = processes.start(environment)
    const { dashboard = "", ingest = "", graphql = "" } = await one.ready
    return { ...one, dashboard, ingest, graphql }
  }

  const open = async (url: string, options: BrowserContextOptions = {}, ready = ".pill.live, .pill.waiting"): Promise<Watched> => {
    const page = await (await browser.newContext({ viewport: { width: 1366, height: 900 }, ...options })).newPage()
    const faults: string[] = []
    const { host } = new URL(url)
    page.on("console", (message) => message.type() === "error" && faults.push(`console: ${message.text()}`))
    page.on("pageerror", (error) => faults.push(`page: ${error.message}`))
    page.on("request", (request) => new URL(request.url()).host !== host && faults.push(`request: ${request.url()}`))
    page.on("websocket", (socket) => new URL(socket.url()).host !== host && faults.push(`socket: ${socket.url()}`))
    await page.goto(url)
    await page.locator(ready).first().waitFor()
    return { page, faults }
  }
  return { start, open, directory: processes.directory }
}

/** Opens an address in both themes at three widths, as `look` wants it; `look` is told which by `name`. */
export const inEveryShape = async (open: ReturnType<typeof usePages>["open"], address: string, ready: string, look: (watched: Watched, name: string) => Promise<void>): Promise<void> => {
  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [360, 768, 1366]) {
      const watched = await open(address, { colorScheme, viewport: { width, height: 800 } }, ready)
      await look(watched, `${colorScheme}-${width}`)
      await watched.page.context().close()
    }
  }
}
