import { ViewInUseError } from "@tidemark/domain/ports/ReadModelStore"
import { describe, expect, it } from "vitest"
import { toGraphQLError } from "./errors.ts"

describe("a move of the pointer that the view for BI tools stands against", () => {
  const view = "tidemark.rm_p"

  it("says which sessions read it, and what to do", () => {
    const { message, extensions } = toGraphQLError(new ViewInUseError({ projection: "p", view, by: "readers", holders: ["session 7 (analyst, charts)", "session 9 (analyst)"] }))
    expect(message).toBe("tidemark.rm_p is being read: session 7 (analyst, charts), session 9 (analyst). Nothing has moved. Let these sessions end, or end them, and do it again.")
    expect(extensions).toEqual({ code: "VIEW_IN_USE", view, by: "readers", holders: ["session 7 (analyst, charts)", "session 9 (analyst)"] })
  })

  it("says what is built on its columns, and does not call it unavailable", () => {
    const { message, extensions } = toGraphQLError(new ViewInUseError({ projection: "p", view, by: "dependants", holders: ["view tidemark.mine"] }))
    expect(message).toBe("The columns of tidemark.rm_p change, and others are built on it: view tidemark.mine. Nothing has moved. Remove them, do it again, and make them anew.")
    expect(extensions["code"]).toBe("VIEW_IN_USE")
  })

  it("says so when the holders are gone by the time they are asked for", () => {
    expect(toGraphQLError(new ViewInUseError({ projection: "p", view, by: "readers", holders: [] })).message).toContain("is being read: by whom is not known any more. Nothing has moved.")
  })
})
