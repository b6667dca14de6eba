import { describe, expect, it } from "vitest"
import { describeJsonFault, findJsonFault } from "./jsonFault.ts"

const VALID = ["1", "-0.5e+3", '"a\\u00e9\\n"', "[]", "{}", ' { "a" : [ 1 , { } , "]" ] , "b" : null } ', "[[],[[]]]", "true"]
const at = (text: string) => {
  const fault = findJsonFault(text)
  return fault === undefined ? undefined : describeJsonFault(text, fault)
}

describe("findJsonFault", () => {
  it("finds nothing in JSON", () => {
    for (const text of VALID) expect(at(text), text).toBeUndefined()
  })

  it("agrees with the parser on every text one change away from JSON", () => {
    const inserted = ['"', ",", ":", "[", "]", "{", "}", "1", "-", ".", "e", "\\", " ", "x", "\n", "0"]
    for (const text of VALID) {
      for (let i = 0; i <= text.length; i++) {
        for (const changed of [text.slice(0, i) + text.slice(i + 1), text.slice(0, i), ...inserted.map((sign) => text.slice(0, i) + sign + text.slice(i))]) {
          let valid = true
          try {
            JSON.parse(changed)
          } catch {
            valid = false
          }
          expect(findJsonFault(changed) === undefined, changed).toBe(valid)
        }
      }
    }
  })

  it("says where, what was expected and what stands there", () => {
    expect(at('{"a":1,\n "b":tru}')).toBe('line 2, character 6: expected a value, got "t"')
    expect(at('[{"a":1}')).toBe("character 9: expected a comma or ], got the end of the text")
    expect(at("{'a':1}")).toBe(`character 2: expected a key in double quotes, got "'"`)
    expect(at("[1,]")).toBe('character 4: expected a value, got "]"')
    expect(at('{"a":1} 2')).toBe('character 9: expected nothing more, got "2"')
  })

  it("takes any depth", () => {
    expect(at("[".repeat(1_000_000))).toBe("character 1000001: expected a value, got the end of the text")
    expect(at(`"${"x".repeat(8_000_000)}`)).toMatch(/^character 1: expected a string/)
  })
})
