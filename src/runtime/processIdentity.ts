import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"

/**
 * When the process with this number started, as a text that no other process of the same number has; undefined when
 * there is none. Linux: from /proc; elsewhere: from `ps`.
 */
export const processIdentity = (pid: number): string | undefined => {
  if (process.platform === "linux") {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
      // The second field, the command, is in parentheses and may hold spaces; start time is the 22nd, state the 3rd.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      return fields[0] === "Z" ? undefined : fields[19]
    } catch {
      return undefined
    }
  }
  try {
    const started = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim()
    return started === "" ? undefined : started
  } catch {
    return undefined
  }
}

/** This process. */
export const ownProcess = (): { readonly pid: number; readonly started: string } => ({
  pid: process.pid,
  started: processIdentity(process.pid) ?? ""
})

/** A path as a person would type it in this process's working folder. */
export const pathFromHere = (path: string): string => {
  const here = `${process.cwd()}/`
  return path.startsWith(here) ? path.slice(here.length) : path
}
