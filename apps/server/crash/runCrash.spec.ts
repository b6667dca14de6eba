import { expect, it, vi } from "vitest"
import { runCrash } from "./runCrash.ts"

it("a crash campaign with an argument it does not know says what it takes and kills nothing", async () => {
  const stderr = vi.spyOn(process.stderr, "write").mockReturnValue(true)
  const storesOf = () => { throw new Error("nothing is opened") }
  const codes = await Promise.all([["--nope"], ["--help"], ["12"], ["--kills", "many"]].map((argv) => runCrash({ argv, entry: "/nowhere", storesOf })))
  const said = stderr.mock.calls.map(([text]) => String(text))
  stderr.mockRestore()
  expect(codes).toEqual([2, 2, 2, 2])
  expect(said).toEqual([...Array.from({ length: 3 }, () => expect.stringMatching(/^(Unknown option|Unexpected argument) .*\nusage: npm run test:crash -- /s) as string), "--kills takes a whole number from 0.\n"])
})
