/**
 * A server that the tests of a file share: it is started, stopped, frozen and started again, and outlives the test that
 * did so. What it prints goes to a file, which has all its lives.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, existsSync, openSync, readFileSync } from "node:fs"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { cleanEnvironment, type ExitStatus } from "./childProcess.ts"
import { eventually } from "./eventually.ts"

export interface ServerProcess {
  readonly name: string
  readonly logFile: string
  /** Everything printed since the first start. */
  readonly log: () => string
  /** Of the living process, else 0. */
  readonly pid: () => number
  readonly running: () => boolean
  /** Starts it, and waits until it is ready. Does nothing while it runs. */
  readonly start: () => Promise<void>
  /** SIGTERM, and waits for the end; `kill -9` and an error after the deadline. */
  readonly terminate: (deadlineMillis?: number) => Promise<ExitStatus>
  /** `kill -9`, and waits until it is gone. */
  readonly kill: () => Promise<void>
  /** SIGSTOP: it neither answers nor closes. */
  readonly freeze: () => void
  readonly thaw: () => void
}

export interface ServerOptions {
  readonly name: string
  readonly command: string
  readonly arguments: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
  readonly logFile: string
  /** Asked until it answers true; a thrown error is "not yet". `logged` is what this life has printed. */
  readonly ready: (logged: string) => boolean | Promise<boolean>
  /** Machines are slow, and two files start their servers at once. */
  readonly readyMillisMax?: number
}

/** How much of a log an error shows, in lines. */
const shownLinesMax = 40

const living = new Set<ChildProcess>()
process.once("exit", () => {
  for (const child of living) child.kill("SIGKILL")
})

/** Not started yet. */
export const serverProcess = (options: ServerOptions): ServerProcess => {
  let child: ChildProcess | undefined
  let ended: Promise<ExitStatus> = Promise.resolve({ code: undefined, signal: undefined })

  const log = () => (existsSync(options.logFile) ? readFileSync(options.logFile, "utf8") : "")
  const running = () => child !== undefined && child.exitCode === null && child.signalCode === null
  const failure = (what: string, cause?: unknown) =>
    new Error(`${options.name} ${what}:\n${log().trimEnd().split("\n").slice(-shownLinesMax).join("\n")}`, { cause })

  const start = async () => {
    if (running()) return
    const printedBefore = log().length
    const output = openSync(options.logFile, "a")
    const started = spawn(options.command, [...options.arguments], {
      cwd: projectFolder,
      env: { ...cleanEnvironment(), ...options.environment },
      stdio: ["ignore", output, output]
    })
    closeSync(output)
    child = started
    living.add(started)
    ended = new Promise((resolve, reject) => {
      started.once("error", reject)
      started.once("exit", (code, signal) => {
        living.delete(started)
        resolve({ code: code ?? undefined, signal: signal ?? undefined })
      })
    })
    ended.catch(() => undefined)
    const became = await eventually(
      `${options.name} is ready`,
      async () => !running() || (await options.ready(log().slice(printedBefore))),
      { deadlineMillis: options.readyMillisMax ?? 90_000 }
    ).catch(async (cause: unknown) => {
      await kill()
      throw failure("did not become ready", cause)
    })
    if (became && !running()) throw failure("ended before it was ready")
  }
  const kill = async () => {
    child?.kill("SIGKILL")
    await ended.catch(() => undefined)
  }
  return {
    name: options.name,
    logFile: options.logFile,
    log,
    pid: () => (running() ? (child?.pid ?? 0) : 0),
    running,
    start,
    terminate: async (deadlineMillis = 90_000) => {
      child?.kill("SIGTERM")
      await eventually(`${options.name} ends after SIGTERM`, () => !running(), { deadlineMillis }).catch(
        async (cause: unknown) => {
          await kill()
          throw failure("ignored SIGTERM", cause)
        }
      )
      return ended
    },
    kill,
    freeze: () => void child?.kill("SIGSTOP"),
    thaw: () => void child?.kill("SIGCONT")
  }
}
