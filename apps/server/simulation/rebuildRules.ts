/** What must be so of rebuilds once nothing is to be done any more: journal and read models tell one story, and nothing is left over. */
import { loadRebuilds } from "@tidemark/commands/rebuild/aggregate"
import type { Rebuild } from "@tidemark/domain/settings/rebuild/evolve"
import { digestLabel, modelDigest } from "@tidemark/projections/runtime/modelDigest"
import { memoryEventStore } from "@tidemark/projections/simulation/memoryEventStore"
import { keptGenerations, makeSnapshot } from "@tidemark/projections/simulation/memoryModelState"
import type { World } from "@tidemark/projections/simulation/world"
import * as Effect from "effect/Effect"
import { WORKING } from "../rebuildJournal.ts"
import { NAMES } from "./rebuildGuests.ts"

const TENANTS = ["acme", "birch", "c"]
/** Statuses that may keep a generation which is not served. */
const KEEPING: readonly string[] = ["ready", "paused", "failed", "active", "standby"]

/** The rebuilds of every projection as their streams tell them, past every fault. */
export const storedRebuilds = (world: World): readonly Rebuild[] => {
  const { settingsDisk } = world
  const calm = { ...settingsDisk, isDown: () => false }
  return Effect.runSync(Effect.orDie(Effect.provide(Effect.forEach(NAMES, loadRebuilds), memoryEventStore(calm)))).flat()
}

/** Which generation the rebuild says is served, undefined where it says nothing. */
const servedBy = ({ status, generation, fromGeneration }: Rebuild): number | undefined => (status === "active" ? generation : status === "standby" ? fromGeneration : undefined)

const storyOf = (world: World, projection: string, rebuilds: readonly Rebuild[]): readonly string[] => {
  const { pointers, generations } = world.modelDisk.state
  const found: string[] = []
  const served = pointers.get(projection)?.generation
  const latest = rebuilds.filter((one) => servedBy(one) !== undefined).sort((a, b) => (a.pointerVersion ?? 0) - (b.pointerVersion ?? 0)).at(-1)
  const owner = rebuilds.find(({ generation }) => generation === served)
  if (latest !== undefined && servedBy(latest) !== served && owner?.status !== "retired") found.push(`${projection} serves generation ${served}, its journal says ${servedBy(latest)}`)
  if (owner !== undefined && !["active", "retired"].includes(owner.status)) found.push(`${projection} serves generation ${served}, whose rebuild is ${owner.status}`)
  const kept = keptGenerations(world.modelDisk.state)
  for (const record of generations.values()) {
    if (record.projection !== projection || record.isDropped === true || record.generation === served) continue
    const isKept = rebuilds.some((one) => KEEPING.includes(one.status) && (one.generation === record.generation || one.fromGeneration === record.generation))
    if (!isKept) found.push(`generation ${record.generation} of ${projection} is ${kept.has(`${projection}/${record.generation}`) ? "followed" : "stored"} for nobody`)
  }
  return found
}

/**
 * Every move of the pointer was between the two generations of one rebuild; the journal tells of the
 * last one; and one generation at most is left to go to.
 */
const movesOf = (world: World, projection: string, rebuilds: readonly Rebuild[]): readonly string[] => {
  const moves = world.checker.served.moves.filter((one) => one.projection === projection)
  const found = moves
    .filter(({ from, to }) => !rebuilds.some(({ generation, fromGeneration }) => (generation === to && fromGeneration === from) || (generation === from && fromGeneration === to)))
    .map(({ from, to }) => `${projection} moved from generation ${from} to ${to}, which no rebuild compares`)
  const version = world.modelDisk.state.pointers.get(projection)?.pointerVersion
  const told = rebuilds.reduce((latest, { pointerVersion }) => Math.max(latest, pointerVersion ?? 0), 0)
  if (moves.length > 0 && told !== version) found.push(`${projection} is served at version ${version}, its journal tells of ${told}`)
  const finished = rebuilds.filter((one) => servedBy(one) !== undefined)
  if (finished.length > 1) found.push(`${projection} has ${finished.length} ways back or forth: ${finished.map(({ generation, status }) => `${generation} ${status}`).join(", ")}`)
  return found
}

/** Followed generations of one definition hold the same, whatever was built, crashed or flipped. */
const digestsOf = (world: World, projection: string): readonly string[] => {
  const { state } = world.modelDisk
  const kept = keptGenerations(state)
  const byDefinition = new Map<string, string>()
  const found: string[] = []
  for (const record of state.generations.values()) {
    if (record.projection !== projection || !kept.has(`${projection}/${record.generation}`)) continue
    const { digest, unaccounted } = Effect.runSync(Effect.orDie(modelDigest(makeSnapshot(state), record, TENANTS)))
    if (unaccounted.length > 0) found.push(`generation ${record.generation} of ${projection}: rows of lanes ${unaccounted.join()} are not what their digests say`)
    const other = byDefinition.get(record.definitionHash) ?? digestLabel(digest)
    byDefinition.set(record.definitionHash, other)
    if (other !== digestLabel(digest)) found.push(`generation ${record.generation} of ${projection} has another digest than one of the same definition`)
  }
  return found
}

/** What is wrong, once nothing is to be done any more. */
export const restFaults = (world: World): readonly string[] => {
  const all = storedRebuilds(world)
  return NAMES.flatMap((projection) => {
    const rebuilds = all.filter((one) => one.projection === projection)
    const working = rebuilds.filter(({ status }) => WORKING.includes(status)).map(({ generation, status }) => `generation ${generation} of ${projection} rests and is ${status}`)
    return [...working, ...storyOf(world, projection, rebuilds), ...movesOf(world, projection, rebuilds), ...digestsOf(world, projection)]
  })
}
