import { pubSubContract } from "@tidemark/domain/ports/PubSub.contract"
import { pubSubInProcess } from "./PubSubInProcess.ts"

pubSubContract("this process", () => ({ open: () => pubSubInProcess, dispose: async () => {} }))
