import { describe, expect, it } from "vitest"
import { startSentence } from "./startError.ts"

const place = { dataDir: "/data", host: "127.0.0.1", port: 4000 }

describe("the sentence of a start that failed", () => {
  it("says what to do about a data directory on a network file system, and nothing about rights", () => {
    const cause = Object.assign(new Error("The directory /data/log lies on a network file system (NFS): set TIDEMARK_DATA_DIR."), { name: "NetworkFileSystemError" })
    expect(startSentence({ _tag: "LogOpenError", directory: "/data/log", cause }, place)).toBe(cause.message)
  })

  it("names the variable and the address of an engine that was reached and then did not answer, and no data directory", () => {
    const at = (variable: string, address: string) => ({ variable, address })
    const engines = {
      kafkaBrokers: at("TIDEMARK_KAFKA_BROKERS", "k:9092"), postgresUrl: at("TIDEMARK_POSTGRES_URL", "postgres://p/t"), elasticsearchUrl: at("TIDEMARK_ELASTICSEARCH_URL", "http://e:9200"),
      redisUrl: at("TIDEMARK_REDIS_URL", "redis://r"), eventstoreUrl: at("TIDEMARK_EVENTSTORE_URL", "esdb://s:2113?tls=false")
    }
    const failed = { LogUnavailableError: "k:9092", StoreUnavailableError: "postgres://p/t", RejectedLogError: "postgres://p/t", EventStoreUnavailableError: "esdb://s:2113?tls=false", PubSubUnavailableError: "redis://r", SearchUnavailableError: "http://e:9200" }
    for (const [tag, address] of Object.entries(failed)) {
      const sentence = startSentence({ _tag: tag, message: "", cause: new Error("no answer within 5000 ms.") }, { ...place, engines })
      const variable = Object.values(engines).find((engine) => engine.address === address)?.variable
      expect(sentence).toBe(`${variable} is ${address}: it was reached, and then did not do what a start needs: no answer within 5000 ms. See how that engine fares, and start again.`)
    }
    const index = startSentence({ _tag: "PartitionIndexError", cause: new Error("Permission denied") }, { ...place, engines })
    expect(index).toBe("The data in /data cannot be opened (Permission denied): make the directory writable, or set TIDEMARK_DATA_DIR to another one.")
  })

  it("names the innermost cause of a store that does not open", () => {
    expect(startSentence({ _tag: "LogOpenError", message: "", cause: new Error("outer", { cause: new Error("Permission denied") }) }, place))
      .toBe("The data in /data cannot be opened (Permission denied): make the directory writable, or set TIDEMARK_DATA_DIR to another one.")
  })
})
