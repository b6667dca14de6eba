/** What a read of the log finds that no retry mends, in the words of halts and findings. Codes: docs/semantics.md §2. */
import type { LogReadError, LogUnavailableError } from "./EventLog.ts"

export type LogFault = Exclude<LogReadError, LogUnavailableError>

/** Tags of `LogFault`. */
export const LOG_FAULTS = ["LogCorruptError", "OffsetOutOfRangeError", "LogGapError", "LogIdentityError"] as const satisfies readonly LogFault["_tag"][]

/** The code under which whoever reads stops, and for an operator what was found where. */
export const describeLogFault = (fault: LogFault): { readonly code: "LOG_CORRUPT" | "LOG_GAP" | "LOG_IDENTITY"; readonly detail: string } => {
  switch (fault._tag) {
    case "LogCorruptError":
      return { code: "LOG_CORRUPT", detail: `partition ${fault.partition}: block at offset ${fault.offset}: ${fault.detail}` }
    case "OffsetOutOfRangeError":
      return { code: "LOG_GAP", detail: `partition ${fault.partition}: offset ${fault.wanted} is wanted, the log holds ${fault.start} to ${fault.end}` }
    case "LogGapError":
      return { code: "LOG_GAP", detail: `partition ${fault.partition}: offsets ${fault.wanted} to ${fault.found - 1n} hold no record` }
    case "LogIdentityError":
      return { code: "LOG_IDENTITY", detail: `opened as log ${fault.logId}: ${fault.detail}` }
  }
}

/** The same on one line. */
export const logFaultText = (fault: LogFault): string => {
  const { code, detail } = describeLogFault(fault)
  return `${code}: ${detail}`
}
