/**
 * Processes that a benchmark starts: the product's programs, from the bundle that the image runs, and parts of the
 * benchmarks that are measured apart from the rest. All end with this process at the latest.
 */
import { spawn } from "node:child_process"
import { symlinkSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { buildInto } from "../../.ci/build.ts"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { type ChildProcess, cleanEnvironment, npmStart, startProcess } from "../support/childProcess.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import type { Spent } from "./Benchmark.ts"
import { type Usage, usageOf } from "./usage.ts"

export interface Bundle extends AsyncDisposable {
  readonly start: (parameters: ReadonlyArray<string>) => ChildProcess
  /** `up`, with what `npm start` gives to Node. */
  readonly startUp: (parameters: ReadonlyArray<string>) => ChildProcess
  /** Runs a program to its end. */
  readonly run: (parameters: ReadonlyArray<string>) => Promise<void>
}

/** What the image runs, in an empty folder. */
export const buildBundle = async (folder: string): Promise<void> => {
  await buildInto(folder)
  // What is not bundled.
  symlinkSync(join(projectFolder, "node_modules"), join(folder, "node_modules"))
}

/** The one that ACTIVITY_BUNDLE names, else a new one. */
export const makeBundle = async (): Promise<Bundle> => {
  const folder = await temporaryFolder("bench-bundle")
  const named = process.env["ACTIVITY_BUNDLE"] ?? ""
  if (named === "") await buildBundle(folder.path)
  const bundle = named === "" ? folder.path : named
  const run = (flags: ReadonlyArray<string>, environment: Readonly<Record<string, string>>) => {
    return (parameters: ReadonlyArray<string>): ChildProcess =>
      startProcess({
        command: process.execPath,
        arguments: [...flags, join(bundle, "activity.js"), ...parameters],
        // Whatever a program leaves where it runs goes with it.
        folder: folder.path,
        environment
      })
  }
  const start = run(["--max-semi-space-size=8"], { UV_THREADPOOL_SIZE: "16" })
  const { environment, flags } = npmStart()
  return {
    start,
    startUp: (parameters) => run(flags, environment)(["up", ...parameters]),
    run: async (parameters) => {
      const program = start(parameters)
      const { code } = await program.exited
      if (code !== 0) throw new Error(`activity ${parameters[0]} ended with ${code}:\n${program.log()}`)
    },
    [Symbol.asyncDispose]: folder.remove
  }
}

/** How often it is looked whether the work is done: each look costs nats-server some, and Node nothing. */
const lookMillis = 50

export interface Work {
  readonly events: number
  readonly program: ChildProcess
  /** Of nats-server. */
  readonly serverPid?: number
  /** How much is done, and when (milliseconds since 1970) the last of it was. Asked until it says `events`. */
  readonly progress: () => Promise<{ readonly done: number; readonly lastMillis: number }>
  readonly tell: (sentence: string) => void
}

export interface Done extends Spent {
  readonly serverCpuSeconds: number | undefined
  readonly rssMaxBytes: number
  /** The peak up to half of the work: memory that grows with the work shows as a difference. */
  readonly rssHalfMaxBytes: number
}

/** Measures from now until the work is done. @throws when the program ends before */
export const measure = async ({ events, program, progress, serverPid, tell }: Work): Promise<Done> => {
  const startedMillis = Date.now()
  const before = usageOf(program.pid)
  const serverBefore = serverPid === undefined ? undefined : usageOf(serverPid)
  let half: Usage | undefined
  let toldMillis = startedMillis
  for (;;) {
    const { done, lastMillis } = await progress()
    if (!program.running()) throw new Error(`the program ended before its work was done:\n${program.log()}`)
    const now = usageOf(program.pid)
    if (half === undefined && done >= events / 2) half = now
    if (done >= events) {
      return {
        events,
        // What was done before the first look, with few events, takes no time that could be measured.
        seconds: Math.max(lastMillis - startedMillis, 1) / 1000,
        cpuSeconds: now.cpuSeconds - before.cpuSeconds,
        serverCpuSeconds:
          serverPid === undefined || serverBefore === undefined
            ? undefined
            : usageOf(serverPid).cpuSeconds - serverBefore.cpuSeconds,
        rssMaxBytes: now.rssMaxBytes,
        rssHalfMaxBytes: (half ?? now).rssMaxBytes
      }
    }
    if (Date.now() - toldMillis >= 1_000) {
      toldMillis = Date.now()
      tell(`${done} of ${events}`)
    }
    await new Promise((resolve) => setTimeout(resolve, lookMillis))
  }
}

/**
 * Runs a module below `test/bench` as a process of its own, and answers what it prints at its end: one line of JSON.
 *
 * @param options its only parameter, as JSON
 * @param onReady called when it prints "ready"
 */
export const runPart = async <Answer>(
  module: string,
  options: object,
  onReady: () => void = () => undefined
): Promise<Answer> => {
  const file = fileURLToPath(new URL(module, import.meta.url))
  const child = spawn(process.execPath, ["--max-semi-space-size=8", file, JSON.stringify(options)], {
    cwd: projectFolder,
    env: { ...cleanEnvironment(), UV_THREADPOOL_SIZE: "16" },
    stdio: ["ignore", "pipe", "inherit"]
  })
  const kill = () => void child.kill("SIGKILL")
  process.once("exit", kill)
  let last = ""
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line === "ready") onReady()
    else last = line
  })
  const code = await new Promise((resolve) => child.once("close", resolve))
  process.off("exit", kill)
  if (code !== 0) throw new Error(`${module} ended with ${String(code)}.`)
  // Our own module, which says what it prints.
  return JSON.parse(last) as Answer
}

/** What a part is told, of the type that {@link runPart} was given. */
export const partOptions = <Options>(): Options =>
  // Its parent's, which is part of the same benchmark.
  JSON.parse(process.argv[2] ?? "{}") as Options

/** Measures this process while it works. */
export const spend = async (events: number, work: () => Promise<void> | void): Promise<Spent> => {
  const started = performance.now()
  const before = process.cpuUsage()
  await work()
  const { system, user } = process.cpuUsage(before)
  return { events, seconds: (performance.now() - started) / 1000, cpuSeconds: (user + system) / 1e6 }
}

/** The end of a part. */
export const answerPart = (answer: object): never => {
  console.log(JSON.stringify(answer))
  process.exit(0)
}
