/**
 * Programs as processes of their own, in an environment as empty as `env -i` leaves it.
 */
import { spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { onTestFailed, onTestFinished } from "vitest"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { denoBinary, denoPermissions } from "./denoBinary.ts"
import { eventually } from "./eventually.ts"

/** How much of what a process printed is kept, in characters. Enough for every run so far, and bounded. */
const logLengthMax = 4 * 1024 * 1024

/** How long what a test left running has to end by itself. Hooks of a test may take 10 seconds. */
const drainMillisMax = 8_000

/** How much of it a failure shows, in lines. */
const shownLinesMax = 200

export interface ExitStatus {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined
  readonly signal: NodeJS.Signals | undefined
}

export interface ChildProcess extends AsyncDisposable {
  readonly pid: number
  /** What it has printed so far, both outputs together. */
  readonly log: () => string
  readonly stdout: () => string
  readonly running: () => boolean
  readonly exited: Promise<ExitStatus>
  /** Waits for a printed line that matches. Fails at once when the process ends without it. */
  readonly waitForLine: (pattern: RegExp, deadlineMillis?: number) => Promise<RegExpExecArray>
  /** Waits for a file to be there. Fails at once when the process ends without it. */
  readonly waitForFile: (path: string, deadlineMillis?: number) => Promise<void>
  /** Sends SIGTERM, waits for the end, and answers how it ended. Fails, after `kill -9`, when it does not end in time. */
  readonly terminate: (deadlineMillis?: number) => Promise<ExitStatus>
  /** `kill -9`, and waits until it is gone. */
  readonly kill: () => Promise<void>
  readonly signal: (signal: NodeJS.Signals) => void
}

export interface StartOptions {
  readonly command: string
  readonly arguments: ReadonlyArray<string>
  /** The project when not named. */
  readonly folder?: string
  /** Added to what {@link cleanEnvironment} inherits. */
  readonly environment?: Readonly<Record<string, string>>
  readonly stdin?: string
  /** It leads a process group of its own, as what is typed at a terminal does. */
  readonly ownGroup?: boolean
}

/** Starts a process. It ends with its test, or with the test's own process, at the latest; what it printed is shown when its test fails. */
export const startProcess = (options: StartOptions): ChildProcess => {
  const child = spawn(options.command, [...options.arguments], {
    cwd: options.folder ?? projectFolder,
    env: { ...cleanEnvironment(), ...options.environment },
    stdio: ["pipe", "pipe", "pipe"],
    detached: options.ownGroup ?? false
  })
  const title = [options.command, ...options.arguments].join(" ")
  let log = ""
  let stdout = ""
  let status: ExitStatus | undefined = undefined
  const keep = (text: string) => {
    log = (log + text).slice(-logLengthMax)
  }
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout = (stdout + text).slice(-logLengthMax)
    keep(text)
  })
  child.stderr.setEncoding("utf8").on("data", keep)
  // A process that ends without reading what we send is no fault of ours.
  child.stdin.on("error", () => undefined).end(options.stdin ?? "")

  const exited = new Promise<ExitStatus>((resolve) => {
    const finish = (ended: ExitStatus) => {
      status ??= ended
      process.off("exit", killNow)
      resolve(status)
    }
    child.on("error", (cause) => {
      keep(`could not start: ${cause.message}\n`)
      finish({ code: undefined, signal: undefined })
    })
    // "close" comes after the last output, "exit" may come before it; a grandchild that keeps the outputs open must
    // not keep us waiting, hence the second chance.
    child.on("close", (code, signal) => finish({ code: code ?? undefined, signal: signal ?? undefined }))
    child.on("exit", (code, signal) =>
      setTimeout(() => finish({ code: code ?? undefined, signal: signal ?? undefined }), 500).unref()
    )
  })
  const killNow = () => {
    child.kill("SIGKILL")
    if (options.ownGroup === true && child.pid !== undefined) killGroup(child.pid)
  }
  process.on("exit", killNow)

  // What a failed test has left running drains, and takes its own children with it.
  afterTest(async () => {
    if (status !== undefined) return
    child.kill("SIGTERM")
    await Promise.race([exited, pause(drainMillisMax, undefined, { ref: false })])
    killNow()
  })

  const shownLog = () => log.split("\n").slice(-shownLinesMax).join("\n")
  showOnFailure(() => console.error(`--- ${title}\n${shownLog()}\n---`))

  const waitFor = async <T>(what: string, deadlineMillis: number, look: () => T | undefined): Promise<T> => {
    const found = await eventually<T | ExitStatus>(what, () => look() ?? status, { deadlineMillis }).catch((cause) => {
      throw new Error(`${title}: ${String(cause)}\n${shownLog()}`)
    })
    if (found !== status) return found as T // It is what `look` answered, as it is not the status.
    // The end and what was looked for may have come between two looks.
    const last = look()
    if (last !== undefined) return last
    throw new Error(`${title}: ended (${JSON.stringify(status)}) before ${what}\n${shownLog()}`)
  }

  const kill = async () => {
    killNow()
    await exited
  }
  return {
    pid: child.pid ?? 0,
    log: () => log,
    stdout: () => stdout,
    running: () => status === undefined,
    exited,
    waitForLine: (pattern, deadlineMillis = 60_000) =>
      waitFor(`a line like ${pattern}`, deadlineMillis, () => pattern.exec(log) ?? undefined),
    waitForFile: async (path, deadlineMillis = 60_000) => {
      await waitFor(`the file ${path}`, deadlineMillis, () => (existsSync(path) ? true : undefined))
    },
    terminate: async (deadlineMillis = 30_000) => {
      child.kill("SIGTERM")
      try {
        return await waitFor("its end after SIGTERM", deadlineMillis, () => status)
      } catch (cause) {
        await kill()
        throw cause
      }
    },
    kill,
    signal: (signal) => void child.kill(signal),
    [Symbol.asyncDispose]: kill
  }
}

export interface ProgramOptions {
  readonly folder?: string
  readonly environment?: Readonly<Record<string, string>>
  /** Node when not named. */
  readonly runtime?: "node" | "deno"
}

/** What `npm start` gives to Node: `exec env NAME=value … node --flag=value … src/main.ts up`. */
export const npmStart = (): { readonly environment: Readonly<Record<string, string>>; readonly flags: string[] } => {
  const command: string = JSON.parse(readFileSync(join(projectFolder, "package.json"), "utf8")).scripts.start
  const words = command.split(" ")
  return {
    environment: Object.fromEntries(words.filter((word) => /^[A-Z_]+=/.test(word)).map((word) => word.split("="))),
    flags: words.filter((word) => word.startsWith("--"))
  }
}

/** `activity <program> …`, started as `npm start` starts it, under Node or Deno. */
export const startProgram = (
  parameters: ReadonlyArray<string>,
  { runtime = "node", folder, environment }: ProgramOptions = {}
): ChildProcess => {
  const main = join(projectFolder, "src/main.ts")
  const start = npmStart()
  const [command, flags] =
    runtime === "node"
      ? [process.execPath, start.flags]
      : [denoBinary(), ["run", "--quiet", "--no-prompt", ...denoPermissions]]
  return startProcess({
    command,
    arguments: [...flags, main, ...parameters],
    ...(folder !== undefined && { folder }),
    environment: { ...start.environment, ...environment }
  })
}

const killGroup = (leader: number): void => {
  try {
    process.kill(-leader, "SIGKILL")
  } catch {
    // Nobody of it is left.
  }
}

/** What a program gets when nothing else is said: where programs, caches and scraps are. */
export const cleanEnvironment = (): Record<string, string> => {
  const bin = join(projectFolder, "node_modules/.bin")
  const inherited = ["HOME", "TMPDIR", "XDG_CACHE_HOME", "NATS_SERVER"].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return { PATH: [bin, process.env["PATH"] ?? ""].join(delimiter), ...Object.fromEntries(inherited) }
}

/** Inside a test, `work` runs at its end; what a hook of a file started belongs to all of the file's tests. */
const afterTest = (work: () => Promise<void>): void => {
  try {
    onTestFinished(work)
  } catch {
    // Vitest throws outside of a test.
  }
}

/** Inside a test, `show` runs when it fails; in a hook of a file there is no test yet, and nothing is shown. */
const showOnFailure = (show: () => void): void => {
  try {
    onTestFailed(show)
  } catch {
    // Vitest throws outside of a test: the errors of the waits carry the log as well.
  }
}
