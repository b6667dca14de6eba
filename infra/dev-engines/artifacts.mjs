/** Programs from Maven Central, fetched once into the cache. A broken download never looks complete: it is renamed at the end. */
import { spawn, spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { EngineError, cacheDir, executable } from "./places.mjs"

const JAVA_MIN = 17
const PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
const OUTPUT_LINES = 3

/** The JDK's or JRE's folder; refuses what is older than `JAVA_MIN`. */
export const javaHome = (engine) => {
  const found = process.env.JAVA_HOME === undefined ? executable("java") : join(process.env.JAVA_HOME, "bin", "java")
  if (found === undefined || !existsSync(found)) {
    throw new EngineError(`${engine} needs Java ${JAVA_MIN} or later: install it (Debian: \`apt-get install openjdk-17-jdk-headless\`) or set JAVA_HOME.`)
  }
  const version = Number(/version "(?:1\.)?(\d+)/.exec(String(spawnSync(found, ["-version"]).stderr))?.[1] ?? 0)
  if (version < JAVA_MIN) throw new EngineError(`Java ${version} at ${found} is too old for ${engine}: ${JAVA_MIN} or later is needed; set JAVA_HOME.`)
  return dirname(dirname(realpathSync(found)))
}

/** Debian packages that are missing to fetch and run a Java engine. */
export const javaPackages = () => [
  ...(process.env.JAVA_HOME === undefined && executable("java") === undefined ? ["default-jre-headless"] : []),
  ...(executable("mvn") === undefined ? ["maven"] : [])
]

const maven = (engine, args) =>
  new Promise((resolve, reject) => {
    const command = executable("mvn")
    if (command === undefined) {
      reject(new EngineError(`${engine} is fetched with Maven, which is not installed: install it (Debian: \`apt-get install maven\`).`))
      return
    }
    const child = spawn(command, ["-q", "-B", ...args], { stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    const take = (chunk) => (output += chunk)
    child.stdout.on("data", take)
    child.stderr.on("data", take)
    child.on("error", reject).on("close", (code) => {
      const lines = output.split("\n").filter((line) => line.includes("[ERROR]")).slice(0, OUTPUT_LINES)
      if (code === 0) resolve()
      else reject(new EngineError(`${engine} could not be fetched: ${lines.join(" ") || `Maven ended with code ${code}`}`))
    })
  })

const readable = (path) => {
  chmodSync(path, 0o755)
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const inner = join(path, entry.name)
    if (entry.isDirectory()) readable(inner)
    else chmodSync(inner, 0o644)
  }
}

/** Folder `name` of the cache, made by `fetch(folder)` when it is not there; readable by every account. */
const cached = async (name, fetch) => {
  const target = join(cacheDir(), name)
  if (existsSync(target)) return target
  const part = `${target}.${process.pid}.part`
  mkdirSync(part, { recursive: true })
  try {
    await fetch(part)
    readable(part)
    // Another command may have been faster: its copy is as good.
    if (!existsSync(target)) renameSync(part, target)
  } finally {
    rmSync(part, { recursive: true, force: true })
  }
  return target
}

/** `coordinates`: ["group:artifact:version", …]; answers the folder with them and all that they need at run time. */
export const jars = (engine, name, coordinates) =>
  cached(name, async (folder) => {
    const dependencies = coordinates.map((text) => {
      const [group, artifact, version] = text.split(":")
      return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`
    })
    const pom = join(folder, "pom.xml")
    const project = `<modelVersion>4.0.0</modelVersion><groupId>tidemark</groupId><artifactId>${name}</artifactId><version>1</version><packaging>pom</packaging>`
    writeFileSync(pom, `<project xmlns="http://maven.apache.org/POM/4.0.0">${project}<dependencies>${dependencies.join("")}</dependencies></project>\n`)
    await maven(engine, ["-f", pom, `${PLUGIN}:copy-dependencies`, "-DincludeScope=runtime", `-DoutputDirectory=${folder}`])
  })

/** The unpacked zip of one artifact, "group:artifact:version:zip". */
export const unpacked = (engine, name, coordinates) =>
  cached(name, (folder) => maven(engine, [`${PLUGIN}:unpack`, `-Dartifact=${coordinates}`, `-DoutputDirectory=${folder}`]))
