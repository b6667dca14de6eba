/** Refuses requests whose Host header is not a loopback or configured name (DNS rebinding). */
const LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]", "::1"]

const nameOf = (host: string): string => (host.startsWith("[") ? host.slice(0, host.indexOf("]") + 1) : (host.split(":")[0] ?? "")).toLowerCase()

/** True for a Host header that names this server. `configured` is the listen host. */
export const makeHostGuard = (configured: string) => {
  const names = new Set([...LOOPBACK_NAMES, configured.toLowerCase()])
  const everywhere = configured === "0.0.0.0" || configured === "::"
  return (host: string | undefined): boolean => host !== undefined && (everywhere || names.has(nameOf(host)))
}
