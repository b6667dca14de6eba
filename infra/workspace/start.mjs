/** `npm start [-- --help | --NAME VALUE…]`: installs and builds if needed, then runs the whole platform in this process, so that signals reach it. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { nodeTooOld, prepare, root } from "./prepare.mjs"

const old = nodeTooOld()
if (old !== undefined) {
  process.stderr.write(old + "\n")
  process.exit(1)
}
// The server says the same, but would have to be built for it first.
if (process.argv.slice(2).some((text) => text === "--help" || text === "-h")) {
  process.stdout.write(readFileSync(join(root, "apps", "server", "usage.txt"), "utf8"))
  process.exit(0)
}
try {
  await prepare((text) => process.stderr.write(`tidemark: ${text}\n`))
} catch (error) {
  process.stderr.write(error.message + "\n")
  process.exit(1)
}
await import(pathToFileURL(join(root, "apps", "server", "dist", "main.js")).href)
