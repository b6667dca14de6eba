/** Questions about the difference of two moments. */
import { windowChangesOf } from "@tidemark/queries/windowChanges"
import type { Moment as At, WindowFigures as Figures } from "@tidemark/queries/windowChanges"
import * as Effect from "effect/Effect"
import { Arg, Ctx, Int, Query, Resolver } from "type-graphql"
import type { ApiContext } from "../context.ts"
import { ask } from "../context.ts"
import { readAsOf, readModels } from "../past.ts"
import { WindowChanges } from "../schema/changes.ts"
import type { Moment, WindowFigures } from "../schema/changes.ts"
import { AsOfInput, DimensionFilter } from "../schema/common.ts"
import { DateTime, Resolution } from "../schema/scalars.ts"
import { offsetsOf, stateOf } from "./shapes.ts"

const momentShape = ({ watermarkMs, position }: At): Moment => ({ watermark: watermarkMs, position: offsetsOf(position) })

const figuresShape = (figures: Figures | null): WindowFigures | null =>
  figures === null ? null : { state: stateOf(figures.state), events: figures.events.toString(), corrections: figures.corrections.toString(), measures: [...figures.measures] }

@Resolver()
export class ChangesResolver {
  @Query(() => WindowChanges, { description: "Windows that changed between two moments, with what they were and what they became." })
  async windowChanges(
    @Ctx() context: ApiContext,
    @Arg("projection", () => String) projection: string,
    @Arg("measures", () => [String]) measures: string[],
    @Arg("from", () => DateTime) from: number,
    @Arg("to", () => DateTime) to: number,
    @Arg("resolution", () => Resolution) resolution: Resolution,
    @Arg("before", () => AsOfInput) before: AsOfInput,
    @Arg("after", () => AsOfInput, { nullable: true, description: "Now, when absent." }) after?: AsOfInput | null,
    @Arg("where", () => [DimensionFilter], { nullable: true }) where?: DimensionFilter[] | null,
    @Arg("first", () => Int, { nullable: true, defaultValue: 50 }) first?: number | null
  ): Promise<WindowChanges> {
    const input = { projection, measures, fromMs: from, toMs: to, resolution, ...(where ? { where } : {}), ...(typeof first === "number" ? { first } : {}) }
    const question = readModels(projection, context.tenantId, [readAsOf(before), readAsOf(after)], ([then, now]) =>
      then === undefined || now === undefined ? Effect.die(new Error("no model")) : windowChangesOf(then, now, input))
    const answer = await ask(context, "windowChanges", question)
    return {
      projection: answer.projection, generation: answer.generation, pointerVersion: answer.pointerVersion, compared: answer.compared, changed: answer.changed,
      before: momentShape(answer.before), after: momentShape(answer.after),
      changes: answer.changes.map(({ key, startMs, endMs, before: old, after: made }) => ({ key: [...key], start: startMs, end: endMs, before: figuresShape(old), after: figuresShape(made) }))
    }
  }
}
