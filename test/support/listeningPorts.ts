/** Where a process listens, from /proc (Linux, as the machines that test are). */
import { readdirSync, readFileSync, readlinkSync } from "node:fs"

/** The state of a listening socket in /proc/net/tcp. */
const listening = "0A"

/** TCP ports on which a process accepts connections, on any address, ascending. */
export const listeningPorts = (pid: number): ReadonlyArray<number> => {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((descriptor) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1] ?? []
      } catch {
        return [] // Closed since.
      }
    })
  )
  const ports = ["tcp", "tcp6"].flatMap((protocol) =>
    readFileSync(`/proc/${pid}/net/${protocol}`, "utf8")
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === listening && sockets.has(fields[9] ?? ""))
      .map((fields) => Number.parseInt(fields[1]!.split(":")[1]!, 16))
  )
  return [...new Set(ports)].sort((one, other) => one - other)
}
