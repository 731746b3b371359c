/**
 * What a process has used, as the kernel counts it (Linux): all its threads, ended ones too.
 */
import { readFileSync } from "node:fs"

export interface Usage {
  /** User and system time. */
  readonly cpuSeconds: number
  /** The same of its children that have ended. */
  readonly childrenCpuSeconds: number
  /** The most that was resident at any moment of the process's life. */
  readonly rssMaxBytes: number
  /** Resident now. */
  readonly rssBytes: number
  readonly threads: number
}

/** The kernel counts time in ticks of 10 ms on every machine that Node runs on. */
const ticksPerSecond = 100

/** @throws when there is no such process */
export const usageOf = (pid: number): Usage => {
  // The command's name stands in parentheses and may hold anything; what follows is numbers (proc_pid_stat(5)).
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ")
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const value = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0)
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
    childrenCpuSeconds: (Number(fields[13]) + Number(fields[14])) / ticksPerSecond,
    rssMaxBytes: value("VmHWM") * 1024,
    rssBytes: value("VmRSS") * 1024,
    threads: value("Threads")
  }
}
