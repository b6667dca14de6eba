import { describe, expect, it } from "vitest"
import { startSentence } from "./startError.ts"

const place = { dataDir: "/data", host: "127.0.0.1", port: 4000 }

describe("the sentence of a start that failed", () => {
  it("says what to do about a data directory on a network file system, and nothing about rights", () => {
    const cause = Object.assign(new Error("The directory /data/log lies on a network file system (NFS): set TIDEMARK_DATA_DIR."), { name: "NetworkFileSystemError" })
    expect(startSentence({ _tag: "LogOpenError", directory: "/data/log", cause }, place)).toBe(cause.message)
  })

  it("names the innermost cause of a store that does not open", () => {
    expect(startSentence({ _tag: "LogOpenError", message: "", cause: new Error("outer", { cause: new Error("Permission denied") }) }, place))
      .toBe("The data in /data cannot be opened (Permission denied): make the directory writable, or set TIDEMARK_DATA_DIR to another one.")
  })
})
