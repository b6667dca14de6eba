import { rateLimiterContract } from "@tidemark/domain/ports/RateLimiter.contract"
import { rateLimiterInProcess } from "./RateLimiterInProcess.ts"

rateLimiterContract("this process", () => ({ open: () => rateLimiterInProcess, dispose: async () => {} }))
