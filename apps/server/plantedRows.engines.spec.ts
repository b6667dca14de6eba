import { randomBytes } from "node:crypto"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { LANES, PARTITIONS } from "@tidemark/replay/rebuildSpec"
import { plantedRows } from "./plantedRows.ts"

const namespace = `planted${randomBytes(4).toString("hex")}`

plantedRows("Kafka and Postgres", (directory) => engines(readConfiguration({
  flags: new Map(), workingDirectory: directory, terminal: false,
  environment: { ...process.env, TIDEMARK_MODE: "distributed", TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_LANES: String(LANES), TIDEMARK_DATA_DIR: directory, TIDEMARK_NAMESPACE: namespace }
})))
