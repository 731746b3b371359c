/** Processes that are not our children any more. */
import { readFileSync } from "node:fs"
import { kill, pid as ownPid } from "node:process"

/**
 * A text that no other process has: the id, and where the system tells it the moment of its start, as ids come again.
 * Undefined when no such process lives.
 */
export const processIdentity = (pid: number): string | undefined => {
  if (!isAlive(pid)) return undefined
  try {
    // The 22nd field, counted behind the command's name, which may hold spaces and parentheses.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return `${pid} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`
  } catch {
    return String(pid)
  }
}

/** The text of this process. */
export const ownIdentity = (): string => processIdentity(ownPid) ?? String(ownPid)

/** Whether a process of that id lives (ours or anybody's). */
export const isAlive = (pid: number): boolean => signal(pid, 0)

/** Sends a signal. @returns false when there is no such process, or it is not ours to signal */
export const signal = (pid: number, name: NodeJS.Signals | 0): boolean => {
  try {
    return kill(pid, name)
  } catch {
    return false
  }
}
