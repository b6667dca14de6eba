/** On which topic of the bus it is told that a rebuild changed or moved on; the key is its id. */
export const REBUILD_TOPIC = "rebuilds"
