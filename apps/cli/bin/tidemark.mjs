#!/usr/bin/env node
import { existsSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

const main = join(import.meta.dirname, "..", "dist", "main.js")
if (!existsSync(main)) {
  process.stderr.write("Tidemark is not built yet: run `npm run build` first.\n")
  process.exit(1)
}
await import(pathToFileURL(main).href)
