/** `npm start`: prepares the workspace if needed, then runs the platform in this process. */
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { nodeTooOld, prepare, root } from "./prepare.mjs"

const terminal = process.stdout.isTTY === true
const say = (step) => {
  if (terminal) process.stdout.write(`  First start: ${step}, once …\n`)
  else process.stdout.write(JSON.stringify({ event: "preparing", step }) + "\n")
}
const stop = (message) => {
  if (terminal) process.stderr.write(`  ${message}\n`)
  else process.stderr.write(JSON.stringify({ event: "error", message }) + "\n")
  process.exit(1)
}

const old = nodeTooOld()
if (old !== undefined) stop(old)
try {
  await prepare(say)
} catch (error) {
  stop(error.message)
}
await import(pathToFileURL(join(root, "apps", "server", "dist", "main.js")).href)
