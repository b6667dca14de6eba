import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { LANES, PARTITIONS } from "@tidemark/replay/rebuildSpec"
import { plantedRows } from "./plantedRows.ts"

plantedRows("embedded", (directory) => engines(readConfiguration({
  flags: new Map(), environment: { TIDEMARK_MODE: "embedded", TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_LANES: String(LANES), TIDEMARK_DATA_DIR: directory }, workingDirectory: directory, terminal: false
})))
