/** Redis 7 in memory only. */
import { HOST, EngineError, executable, portOf } from "./places.mjs"
import { ask, start, stop } from "./processes.mjs"

/** Engine record for a data directory. */
export const redis = (folder) => {
  const port = portOf("redis")
  // Redis rewrites its command line to program, address and port.
  const engine = { name: "redis", packages: executable("redis-server") === undefined ? ["redis-server"] : [], folder, port, mark: `redis-server ${HOST}:${port}` }
  return {
    ...engine,
    variables: { TIDEMARK_REDIS_URL: `redis://${HOST}:${port}` },
    up: async () => {
      const command = executable("redis-server")
      if (command === undefined) throw new EngineError("Redis is not installed: install it (Debian: `apt-get install redis-server`), or run `up --install` as root.")
      const args = ["--bind", HOST, "--port", String(port), "--save", "", "--appendonly", "no", "--daemonize", "no"]
      await start(engine, { command, args, account: {}, ready: async () => (await ask(port, "PING\r\n")).startsWith("+PONG"), seconds: 10 })
    },
    down: () => stop(engine, { signal: "SIGTERM", seconds: 10 })
  }
}
