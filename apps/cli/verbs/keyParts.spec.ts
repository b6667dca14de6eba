import { describe, expect, it } from "vitest"
import { pairsOf } from "../pairs.ts"
import { keyParts } from "./models.ts"

describe("a key on the command line", () => {
  it("is the whole text where there is one dimension", () => {
    expect(keyParts("/a=1,b", ["page"])).toEqual(["/a=1,b"])
    expect(keyParts("page=/a=1,b", ["page"])).toEqual(["/a=1,b"])
    expect(keyParts("", ["page"])).toEqual([""])
  })

  it("is values in the definition's order, or named ones in any order", () => {
    expect(keyParts("/x,200", ["path", "status"])).toEqual(["/x", "200"])
    expect(keyParts("path=/x,y,status=200", ["path", "status"])).toEqual(["/x,y", "200"])
    expect(keyParts("status=200,path=/x?status=1,2", ["path", "status"])).toEqual(["/x?status=1,2", "200"])
  })

  it("is none with another number of values, or without one of the names", () => {
    for (const text of ["/x", "/x,y,200", "path=/x", "status=200,y", ""]) expect(keyParts(text, ["path", "status"]), text).toBeUndefined()
  })
})

describe("name=value", () => {
  it("splits at the first sign and wants a name", () => {
    expect(pairsOf(["page=/a=1", "x="])).toEqual([["page", "/a=1"], ["x", ""]])
    for (const text of ["page", "=x", ""]) expect(() => pairsOf([text]), text).toThrow(expect.objectContaining({ exitCode: 2 }) as Error)
  })
})
