/**
 * Which processes run on a folder, from /proc (Linux, as the machines that test are).
 */
import { readdirSync, readFileSync } from "node:fs"

export interface RunningProcess {
  readonly pid: number
  readonly command: string
}

/** Living processes whose command line names the folder, or something in it. */
export const processesOn = (folder: string): ReadonlyArray<RunningProcess> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // A zombie's command line is empty.
        const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ").trim()
        return command.includes(folder) ? [{ pid: Number(name), command }] : []
      } catch {
        return [] // It has ended since.
      }
    })
