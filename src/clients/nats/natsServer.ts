/**
 * A nats-server of our own: found, started in its own process group, started again when it dies or cannot recover from a
 * disk that was full (see {@link watchRoom}), stopped with the scope.
 *
 * Its data, configuration, log and {@link recordName} (pid, port and random name) live in one folder. What a killed
 * process left running on the folder is recognised by its name or its command line, and stopped first; a process that
 * is not recognised is never touched.
 */
import { Clock, Duration, Effect, Random, Schedule, Schema, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { isAlive, signal } from "../../runtime/processes.ts"
import { hasRoom, newLogText } from "./diskRoom.ts"
import { findNatsServerWith, type FindNatsServerOptions, type NatsServerMissing } from "./findNatsServer.ts"
import { makeFolder } from "../../runtime/makeFolder.ts"

/** nats-server did not come up, or an older one on the same folder does not go. */
export class NatsServerFailed extends Schema.TaggedError<NatsServerFailed>()("NatsServerFailed", {
  folder: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `nats-server did not start in ${this.folder}: ${this.detail}`
  }
}

export interface NatsServer {
  /** `nats://127.0.0.1:<port>` */
  readonly url: string
  readonly port: number
  /** Another one after it has died. */
  readonly pid: () => number
}

export interface NatsServerOptions extends FindNatsServerOptions {
  /** Created where missing; one server per folder. */
  readonly folder: string
  /** 0 takes a free one. */
  readonly port?: number
  /** How long a disk that was full must have room before the server is started anew; 30 seconds when absent. */
  readonly roomWait?: Duration.Input
}

/** JetStream's largest message here; kube-apiserver cuts its audit records far below. */
export const messageSizeBytesMax = 8 * 1024 * 1024
const recordName = "nats-server.json"
/** Subjects are bounded far below (PublishQueue, domain/subject.ts); a foreign client's long one costs no connection. */
const controlLineBytesMax = 16 * 1024
/** What a power loss may take; a server, or process, that is killed loses nothing (decision 0006-stream-limits). */
const syncInterval = "1s"
const startMillisMax = 30_000
const stopMillisMax = 5_000
const restartPause = "1 second"
const roomWaitDefault = "30 seconds"
const roomLookPause = "1 second"

interface ServerRecord {
  readonly pid: number
  /** 0 until it is known. */
  readonly port: number
  readonly name: string
}

/**
 * @fails NatsServerMissing when there is no program, and it could not be fetched
 * @fails NatsServerFailed when it does not come up within 30 seconds
 */
export const startNatsServer = (
  options: NatsServerOptions
): Effect.Effect<NatsServer, NatsServerMissing | NatsServerFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const program = yield* findNatsServerWith(options)
    const { folder } = options
    makeFolder(folder, 0o700)
    yield* stopOrphan(folder)
    const name = `activity-${Math.floor((yield* Random.next) * 2 ** 52).toString(36)}`
    let child: ChildProcess | undefined
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => (child === undefined ? Effect.void : stopChild(child, folder)))
    )
    const start = (port: number) =>
      Effect.suspend(() => {
        const started = spawnServer(program, folder, name, port)
        child = started
        return untilReady(started, folder, name)
      })
    const port = yield* start(options.port ?? 0)
    const supervise = Effect.gen(function* () {
      if (child !== undefined) yield* exited(child)
      yield* Effect.logError("nats-server ended; starting it again").pipe(Effect.annotateLogs({ folder }))
      yield* Effect.sleep(restartPause)
      yield* start(port).pipe(
        Effect.tapError((error) => Effect.logError(error.message)),
        Effect.ignore,
        // A full disk takes no configuration: the next round tries again.
        Effect.catchDefect((cause) => Effect.logError("nats-server cannot be started", cause))
      )
    })
    yield* Effect.forkScoped(Effect.forever(supervise))
    yield* Effect.forkScoped(watchRoom(folder, options.roomWait ?? roomWaitDefault, () => child))
    return { url: `nats://127.0.0.1:${port}`, port, pid: () => child?.pid ?? 0 }
  })

/**
 * Ends a server whose disk was full and has had room for `roomWait`: supervision starts it again.
 *
 * nats-server 2.15 keeps a failed write for ever: the stream answers no publish and no purge until the server is started
 * anew, however much room there is. Each refused publish leaves a line in its log; who publishes here tries again.
 */
const watchRoom = (
  folder: string,
  roomWait: Duration.Input,
  child: () => ChildProcess | undefined
): Effect.Effect<never> =>
  Effect.gen(function* () {
    const path = logPath(folder)
    const wait = Duration.toMillis(Duration.fromInputUnsafe(roomWait))
    let seen: ChildProcess | undefined
    let readTo = 0
    let failed = false
    let roomSince = 0
    const look = Effect.gen(function* () {
      const current = child()
      // What an earlier server said is over.
      if (current !== seen) readTo = newLogText(path, Number.POSITIVE_INFINITY).readTo
      if (current !== seen) failed = false
      seen = current
      const log = newLogText(path, readTo)
      readTo = log.readTo
      const now = yield* Clock.currentTimeMillis
      if (!hasRoom(folder)) roomSince = now
      if (/no space left on device|disk quota exceeded/.test(log.text) && !failed) {
        failed = true
        roomSince = now
        yield* Effect.logError("the disk of nats-server is full").pipe(Effect.annotateLogs({ folder }))
      }
      if (!failed || now - roomSince < wait || current === undefined) return
      failed = false
      yield* Effect.logWarning("the disk has room again; nats-server is started anew, as it does not recover by itself")
      yield* end(current)
    })
    // A log that cannot be read now is read at the next look.
    const looking = Effect.catchDefect(look, () => Effect.void)
    return yield* Effect.forever(Effect.andThen(looking, Effect.sleep(roomLookPause)))
  })

/** The configuration of a server on `folder`. */
export const natsServerConfig = (folder: string, name: string, port: number): string =>
  [
    `server_name: ${JSON.stringify(name)}`,
    `listen: "127.0.0.1:${port === 0 ? -1 : port}"`,
    `max_payload: ${messageSizeBytesMax}`,
    `max_control_line: ${controlLineBytesMax}`,
    // The default of 64 MiB disconnects a client whose reads pause while 16 MiB of large messages wait.
    `max_pending: ${128 * 1024 * 1024}`,
    `ports_file_dir: ${JSON.stringify(folder)}`,
    `log_file: ${JSON.stringify(logPath(folder))}`,
    `logfile_size_limit: ${10 * 1024 * 1024}`,
    "logfile_max_num: 3",
    `jetstream { store_dir: ${JSON.stringify(join(folder, "jetstream-data"))}, sync_interval: "${syncInterval}" }`,
    ""
  ].join("\n")

const configPath = (folder: string): string => join(folder, "nats-server.conf")
const logPath = (folder: string): string => join(folder, "nats-server.log")
const errorsPath = (folder: string): string => join(folder, "nats-server.err")
const portsPath = (folder: string, pid: number): string => join(folder, `nats-server_${pid}.ports`)

const writeRecord = (folder: string, record: ServerRecord): void => {
  const path = join(folder, recordName)
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

const readRecord = (folder: string): ServerRecord | undefined => {
  const path = join(folder, recordName)
  if (!existsSync(path)) return undefined
  try {
    const found: unknown = JSON.parse(readFileSync(path, "utf8"))
    if (typeof found !== "object" || found === null || !("pid" in found) || !("port" in found) || !("name" in found))
      return undefined
    const { name, pid, port } = found
    return typeof pid === "number" && typeof port === "number" && typeof name === "string"
      ? { pid, port, name }
      : undefined
  } catch {
    return undefined
  }
}

const spawnServer = (program: string, folder: string, name: string, port: number): ChildProcess => {
  writeFileSync(configPath(folder), natsServerConfig(folder, name, port), { mode: 0o600 })
  const errors = openSync(errorsPath(folder), "w", 0o600)
  // Its own process group: Ctrl-C at a terminal reaches us, and we stop it last.
  const child = spawn(program, ["-c", configPath(folder)], { detached: true, stdio: ["ignore", "ignore", errors] })
  closeSync(errors)
  child.on("error", () => {})
  if (child.pid !== undefined) writeRecord(folder, { pid: child.pid, port, name })
  return child
}

/** Waits for the ports file, then for the greeting. @returns the port */
const untilReady = (child: ChildProcess, folder: string, name: string): Effect.Effect<number, NatsServerFailed> => {
  const failed = (detail: string) => new NatsServerFailed({ folder, detail })
  const pid = child.pid
  if (pid === undefined) return Effect.fail(failed("the program cannot be run"))
  const look = Effect.gen(function* () {
    if (child.exitCode !== null || child.signalCode !== null) return yield* failed(lastError(folder))
    const port = portIn(portsPath(folder, pid))
    if (port === 0 || (yield* greeting(port)) !== name) return 0
    writeRecord(folder, { pid, port, name })
    return port
  })
  return look.pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (port) => port > 0 }),
    Effect.timeoutOrElse({
      duration: startMillisMax,
      orElse: () => Effect.fail(failed(`no answer within ${startMillisMax / 1000} s; ${lastError(folder)}`))
    })
  )
}

const portIn = (path: string): number => {
  if (!existsSync(path)) return 0
  const match = /"nats":\s*\["[^"]*:(\d+)"/.exec(readFileSync(path, "utf8"))
  return match === null ? 0 : Number(match[1])
}

const lastError = (folder: string): string => {
  for (const path of [errorsPath(folder), logPath(folder)]) {
    const lines = existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : []
    const line = lines.findLast((text) => /\[(FTL|ERR)\]/.test(text)) ?? lines.at(-1)
    if (line !== undefined && line !== "") return line
  }
  return "it ended without a word"
}

/** The server name in the greeting of whatever listens there; "" when nobody does, or it is not NATS. */
const greeting = (port: number): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    const socket = connect({ host: "127.0.0.1", port })
    let text = ""
    const end = (name: string) => {
      socket.destroy()
      resume(Effect.succeed(name))
    }
    socket.setTimeout(2_000, () => end(""))
    socket.on("error", () => end(""))
    socket.on("close", () => end(""))
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1")
      if (text.includes("\r\n")) end(/"server_name":"([^"]*)"/.exec(text)?.[1] ?? "")
    })
    return Effect.sync(() => void socket.destroy())
  })

const exited = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return resume(Effect.void)
    const done = () => resume(Effect.void)
    child.once("exit", done)
    return Effect.sync(() => void child.off("exit", done))
  })

/** SIGTERM, then SIGKILL; returns when it is gone. */
const end = (child: ChildProcess): Effect.Effect<void> =>
  Effect.gen(function* () {
    child.kill("SIGTERM")
    // A stopped process would keep the signal until it goes on.
    child.kill("SIGCONT")
    yield* exited(child).pipe(
      Effect.timeoutOrElse({
        duration: stopMillisMax,
        orElse: () =>
          Effect.andThen(
            Effect.sync(() => child.kill("SIGKILL")),
            exited(child)
          )
      })
    )
  })

const stopChild = (child: ChildProcess, folder: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (child.pid === undefined) return
    yield* end(child)
    rmSync(portsPath(folder, child.pid), { force: true })
    rmSync(join(folder, recordName), { force: true })
  })

/** Stops what an earlier process of ours left running on this folder. */
const stopOrphan = (folder: string): Effect.Effect<void, NatsServerFailed> =>
  Effect.gen(function* () {
    const record = readRecord(folder)
    if (record === undefined || !isAlive(record.pid)) return
    const ours = runsOn(record.pid, folder) || (record.port > 0 && (yield* greeting(record.port)) === record.name)
    if (!ours) return
    yield* Effect.logInfo("stopping the nats-server that an earlier process left").pipe(
      Effect.annotateLogs({ pid: record.pid })
    )
    signal(record.pid, "SIGTERM")
    signal(record.pid, "SIGCONT")
    const gone = Effect.sync(() => !isAlive(record.pid)).pipe(
      Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (dead) => dead })
    )
    yield* gone.pipe(
      Effect.timeoutOrElse({
        duration: stopMillisMax,
        orElse: () =>
          Effect.andThen(
            Effect.sync(() => signal(record.pid, "SIGKILL")),
            gone
          ).pipe(
            Effect.timeoutOrElse({
              duration: stopMillisMax,
              orElse: () => Effect.fail(new NatsServerFailed({ folder, detail: `process ${record.pid} does not end` }))
            })
          )
      })
    )
    rmSync(portsPath(folder, record.pid), { force: true })
  })

/** The command line names the configuration of this folder (Linux only; elsewhere the greeting decides). */
const runsOn = (pid: number, folder: string): boolean => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(configPath(folder))
  } catch {
    return false
  }
}
