/** Plans a rebuild: from here on the executor carries it on by itself. */
import * as Effect from "effect/Effect"
import { decidePlan } from "@tidemark/domain/settings/rebuild/decide"
import type { PlanRebuild } from "@tidemark/domain/settings/rebuild/decide"
import type { Act } from "../settings/decideAndAppend.ts"
import { changeRebuilds } from "./aggregate.ts"

/** Fails with InvalidSettingError without a reason, with RebuildRunningError while another one of the projection runs. */
export const startRebuild = Effect.fn("startRebuild")((command: PlanRebuild, act: Act) => changeRebuilds(command.projection, act, (state, nowMs) => decidePlan(state, command, nowMs)))
