/** Elasticsearch 8.19: one node, core modules only, without security. */
import { chownSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { javaHome, javaPackages, unpacked } from "./artifacts.mjs"
import { HOST, portOf, unprivileged } from "./places.mjs"
import { start, stop } from "./processes.mjs"

const VERSION = "8.19.21"
const COORDINATES = `org.elasticsearch.distribution.integ-test-zip:elasticsearch:${VERSION}:zip`
const HEAP = "512m"
const FILES_WE_OWN = /gc\.log|HeapDump|ErrorFile/

const settings = (folders, port, transportPort) => `
cluster.name: tidemark
node.name: tidemark-1
discovery.type: single-node
network.host: ${HOST}
http.port: ${port}
transport.port: ${transportPort}
path.data: ${folders.data}
path.logs: ${folders.logs}
xpack.security.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
action.destructive_requires_name: true
`

const foldersOf = (parent) => Object.fromEntries(["config", "data", "logs", "tmp"].map((name) => [name, join(parent, name)]))

const prepare = (home, folders, account, ports) => {
  for (const folder of Object.values(folders)) {
    mkdirSync(folder, { recursive: true })
    if (account.uid !== undefined) chownSync(folder, account.uid, account.gid)
  }
  const original = join(home, "config")
  const options = readFileSync(join(original, "jvm.options"), "utf8").split("\n").filter((line) => !FILES_WE_OWN.test(line))
  writeFileSync(join(folders.config, "jvm.options"), [...options, `-Xms${HEAP}`, `-Xmx${HEAP}`, ""].join("\n"))
  copyFileSync(join(original, "log4j2.properties"), join(folders.config, "log4j2.properties"))
  writeFileSync(join(folders.config, "elasticsearch.yml"), settings(folders, ...ports))
}

const healthy = async (port) => {
  try {
    const answer = await fetch(`http://${HOST}:${port}/_cluster/health?wait_for_status=yellow&timeout=1s`)
    return answer.ok && (await answer.json()).timed_out === false
  } catch {
    return false
  }
}

/** Engine record for a data directory. */
export const elasticsearch = (folder) => {
  const parent = join(folder, "elasticsearch")
  const folders = foldersOf(parent)
  const ports = [portOf("elasticsearch"), portOf("elasticsearchTransport")]
  const [port] = ports
  const engine = { name: "elasticsearch", packages: javaPackages(), folder, port, mark: `-Des.path.conf=${folders.config}` }
  return {
    ...engine,
    variables: { TIDEMARK_ELASTICSEARCH_URL: `http://${HOST}:${port}` },
    up: async () => {
      const java = javaHome("Elasticsearch")
      const account = unprivileged("Elasticsearch")
      const home = join(await unpacked("Elasticsearch", `elasticsearch-${VERSION}`, COORDINATES), `elasticsearch-${VERSION}`)
      prepare(home, folders, account, ports)
      const environment = { ES_JAVA_HOME: java, ES_PATH_CONF: folders.config, ES_TMPDIR: folders.tmp, HOME: parent }
      await start(engine, { command: "bash", args: [join(home, "bin", "elasticsearch")], account, environment, ready: () => healthy(port), seconds: 120 })
    },
    // The process ended here is the launcher: it ends the server before itself.
    down: () => stop(engine, { signal: "SIGTERM", seconds: 60 })
  }
}
