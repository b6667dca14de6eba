/** `npm start`: installs and builds if needed, then runs the whole platform in this process, so that signals reach it. */
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { nodeTooOld, prepare, root } from "./prepare.mjs"

const old = nodeTooOld()
if (old !== undefined) {
  process.stderr.write(old + "\n")
  process.exit(1)
}
try {
  await prepare((text) => process.stderr.write(`tidemark: ${text}\n`))
} catch (error) {
  process.stderr.write(error.message + "\n")
  process.exit(1)
}
await import(pathToFileURL(join(root, "apps", "server", "dist", "main.js")).href)
