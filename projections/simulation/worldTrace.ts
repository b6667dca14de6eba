/** What happened in a run, as a digest and as its last lines. Two runs of one seed must tell the same. */
import { sha1 } from "@noble/hashes/legacy.js"
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js"

/** Lines kept to be shown with a failing run. */
const TAIL_LINES = 60

export class WorldTrace {
  private readonly digest = sha1.create()
  private readonly lines: string[] = []

  add(line: string): void {
    this.digest.update(utf8ToBytes(`${line}\n`))
    this.lines.push(line)
    if (this.lines.length > TAIL_LINES * 2) this.lines.splice(0, TAIL_LINES)
  }

  /** SHA-1 of all lines so far, 40 hex characters. */
  hash(): string {
    return bytesToHex(this.digest.clone().digest())
  }

  tail(): readonly string[] {
    return this.lines.slice(-TAIL_LINES)
  }
}
