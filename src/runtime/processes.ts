/** Processes by their number: whether they live, which they are, and signals to those that are not our children. */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { kill, pid as ownPid, platform } from "node:process"

/** Whether a process of that number lives (ours or anybody's). */
export const isAlive = (pid: number): boolean => startOf(pid) !== undefined

/** Sends a signal. @returns false when there is no such process, or it is not ours to signal */
export const signal = (pid: number, name: NodeJS.Signals): boolean => {
  try {
    return kill(pid, name)
  } catch {
    return false
  }
}

/**
 * `<pid> <moment of its start>`: a text that no other process has, though numbers come again (in a container always the
 * same ones). Undefined when no such process lives.
 */
export const processIdentity = (pid: number): string | undefined => {
  const started = startOf(pid)
  return started === undefined ? undefined : `${pid} ${started}`
}

/** The identity of this process. */
export const ownIdentity = (): string => processIdentity(ownPid) ?? String(ownPid)

/** When it started: Linux from /proc, elsewhere from `ps`. A zombie has ended. */
const startOf = (pid: number): string | undefined => {
  try {
    if (platform !== "linux")
      return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || undefined
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // The second field, the command, is in parentheses and may hold spaces; state is the 3rd, the start the 22nd.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return fields[0] === "Z" ? undefined : fields[19]
  } catch {
    return undefined
  }
}
