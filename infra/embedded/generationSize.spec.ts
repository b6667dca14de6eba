import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Row } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { generationSize } from "./generationSize.ts"
import { createGeneration } from "./generationsLmdb.ts"
import { openModelStores, renewView } from "./modelStores.ts"
import type { ModelStores } from "./modelStores.ts"
import { RowKeys, encodeRow } from "./rowCodec.ts"

const ROWS = 1_000

const row = (tenantId: string, resolution: 0 | 1 | 2, at: number): Row => ({
  tenantId, resolution, windowStartMs: at * 60_000, keyId: "0".repeat(32), key: ["/"], measures: [new Uint8Array(40)], events: 1n, lateEvents: 0n, backfillEvents: 0n, fingerprint: 1n, offsets: [], revision: 1n
})

describe("the rows of a generation", () => {
  let directory: string
  let stores: ModelStores
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-size-"))
    stores = openModelStores(directory)
  })
  afterEach(async () => {
    await stores.root.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it("are counted whole, whatever is counted at a time", async () => {
    for (const generation of [1, 2]) createGeneration(stores, { projection: "p", generation, definition: "{}", definitionHash: "h", createdAtMs: 1, logId: "l", coverage: [] }, [{ lane: 0, partitions: [0] }])
    stores.root.transactionSync(() => {
      for (const generation of [1, 2]) {
        const keys = new RowKeys({ projection: "p", generation, lane: 0 })
        for (const [tenantId, resolution] of [["t", 0], ["t", 2], ["u", 0]] as const) for (let at = 0; at < ROWS / generation; at++) stores.rows.putSync(keys.of(row(tenantId, resolution, at)), encodeRow(row(tenantId, resolution, at)))
      }
    })
    const counted = async (generation: number, step?: number) => (await Effect.runPromise(Effect.andThen(renewView, generationSize(stores, { projection: "p", generation }, step))))?.rows
    for (const step of [undefined, 1, 7, 100, ROWS - 1, ROWS, ROWS + 1]) expect([await counted(1, step), await counted(2, step)], String(step)).toEqual([BigInt(3 * ROWS), BigInt((3 * ROWS) / 2)])
  })
})
