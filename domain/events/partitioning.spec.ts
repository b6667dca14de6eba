import { describe, expect, it } from "vitest"
import { kafkaPartition, laneOf, murmur2, partitionKeyOf, partitionsOfLane } from "./partitioning.ts"

describe("Kafka's murmur2", () => {
  // The vectors of Kafka's own UtilsTest.testMurmur2.
  it.each([["21", -973_932_308], ["foobar", -790_332_482], ["a-little-bit-long-string", -985_981_536],
    ["a-little-bit-longer-string", -1_486_304_829], ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971], ["abc", 479_470_107]])(
    "of %j is %i", (text, hash) => {
      expect(murmur2(new TextEncoder().encode(text))).toBe(hash)
    })

  it("gives a partition in range also where the hash is negative", () => {
    expect(kafkaPartition("21", 7)).toBe((-973_932_308 & 0x7fffffff) % 7)
  })
})

describe("a partition key", () => {
  it("is the user, else the anonymous id, else the session, else the event", () => {
    const all = { id: "e", sessionId: "s", anonymousId: "a", userId: "u" }
    expect(partitionKeyOf("t", all)).toBe("t:u")
    expect(partitionKeyOf("t", { ...all, userId: undefined })).toBe("t:a")
    expect(partitionKeyOf("t", { id: "e", sessionId: "s" })).toBe("t:s")
    expect(partitionKeyOf("t", { id: "e" })).toBe("t:e")
  })
})

describe("a lane", () => {
  it("is a fixed set of partitions, partition mod L, and every partition is in one", () => {
    expect(partitionsOfLane(1, 4, 10)).toEqual([1, 5, 9])
    const seen = [0, 1, 2, 3].flatMap((lane) => partitionsOfLane(lane, 4, 10)).toSorted((a, b) => a - b)
    expect(seen).toEqual(Array.from({ length: 10 }, (_, partition) => partition))
    expect(laneOf(9, 4)).toBe(1)
  })
})
