/**
 * The ClickHouse engine inside this process (chdb), as a pool of connections on one folder.
 *
 * One connection runs one statement at a time, several run in parallel. Each running statement holds a thread of
 * libuv's pool: UV_THREADPOOL_SIZE (16) is set before the process starts.
 */
import { existsSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { Effect, type Scope } from "effect"
import { quotedName } from "./parameters.ts"
import { ClickHouseSetupError, DataFolderInUse, DataFolderRefused, EmbeddedEngineMissing } from "./setupErrors.ts"
import { makeFolder } from "../../runtime/makeFolder.ts"

/** Four connections: reads take at most three, writes at most two, so that neither ever waits for all of the other. */
const connectionsMax = 4
const readsMax = 3
const writesMax = 2

/** Statements that wait for a connection; one more is told to come again. At 10 ms each, 256 wait below a second. */
const waitingMax = 256

/** What we use of a chdb session. */
export interface EmbeddedConnection {
  readonly queryAsync: (
    sql: string,
    options?: { readonly format?: string }
  ) => Promise<{ text(): string; bytes(): Uint8Array }>
  readonly close: () => void
}

export interface EmbeddedEngine {
  /**
   * Runs `use` with a connection of its own. When `signal` fires while it runs, its connection comes back to the pool only
   * when it has ended.
   */
  readonly run: <A>(
    kind: "read" | "write",
    use: (connection: EmbeddedConnection) => Promise<A>,
    signal?: AbortSignal
  ) => Promise<A>
  /** Runs `use` beside all that, one at a time: for short statements about those that run. */
  readonly runBeside: <A>(use: (connection: EmbeddedConnection) => Promise<A>) => Promise<A>
}

export class RunAborted extends Error {}
export class TooManyWaiting extends Error {}

/**
 * Opens the folder (created where missing), and the database in it. Closing waits for what still runs.
 *
 * @param connectionArgs settings that hold for every statement, as `--name=value`
 * @fails ClickHouseSetupError EmbeddedEngineMissing, DataFolderInUse, DataFolderRefused
 */
export const openEmbeddedEngine = (
  folder: string,
  database: string,
  connectionArgs: ReadonlyArray<string> = []
): Effect.Effect<EmbeddedEngine, ClickHouseSetupError, Scope.Scope> =>
  Effect.gen(function* () {
    const chdb = yield* Effect.tryPromise({
      try: () => import("chdb"),
      catch: (cause) => new ClickHouseSetupError({ reason: new EmbeddedEngineMissing({ cause }) })
    })
    const path = resolve(folder)
    const connections = yield* Effect.acquireRelease(
      Effect.try({
        try: () => {
          makeFolder(path)
          return open(() => new chdb.Session(path, { connectionArgs }))
        },
        catch: (cause) => new ClickHouseSetupError({ reason: setupReason(path, cause) })
      }),
      (opened) =>
        Effect.promise(() => {
          for (const connection of opened) connection.close()
          return chdb.drainPending()
        })
    )
    yield* Effect.tryPromise({
      try: async () => {
        for (const connection of connections) {
          await connection.queryAsync(`CREATE DATABASE IF NOT EXISTS ${quotedName(database)}`)
          await connection.queryAsync(`USE ${quotedName(database)}`)
        }
      },
      catch: (cause) => new ClickHouseSetupError({ reason: new DataFolderRefused({ folder: path, cause }) })
    })
    const [beside, ...pooled] = connections
    return { ...makePool(pooled), runBeside: oneAtATime(beside) }
  })

type Connections = readonly [beside: EmbeddedConnection, ...pooled: ReadonlyArray<EmbeddedConnection>]

const open = (make: () => EmbeddedConnection): Connections => {
  const beside = make()
  const pooled: Array<EmbeddedConnection> = []
  try {
    while (pooled.length < connectionsMax) pooled.push(make())
  } catch (cause) {
    for (const connection of [beside, ...pooled]) connection.close()
    throw cause
  }
  return [beside, ...pooled]
}

/**
 * The engine tells that a folder is locked (code 76) on standard error only; the exception names no cause. But whoever
 * holds the folder has written its process id into the file `status`, which is removed when it closes.
 */
const setupReason = (folder: string, cause: unknown): DataFolderInUse | DataFolderRefused => {
  const holder = String(cause).includes("Failed to create connection") ? holderOf(folder) : undefined
  return holder === undefined ? new DataFolderRefused({ folder, cause }) : new DataFolderInUse({ folder, holder })
}

const holderOf = (folder: string): number | undefined => {
  const status = join(folder, "status")
  const match = existsSync(status) ? /^PID: (\d+)$/m.exec(readFileSync(status, "utf8")) : null
  return match === null ? undefined : Number(match[1])
}

/** Connections of which a statement failed, and none has succeeded since. */
const unclean = new WeakSet<EmbeddedConnection>()

const clean = async (connection: EmbeddedConnection): Promise<void> => {
  await connection.queryAsync("SELECT 1")
  unclean.delete(connection)
}

/**
 * What a statement gave before it failed (its time over, its memory, a KILL) stays in its connection, and stands before
 * what the next one gives there (chdb 26.7): somebody else's rows. Until then it is listed as running, too, and holds
 * what it held. So a statement that nobody reads takes it away: at once, else before the next one.
 */
const useClean = async <A>(
  connection: EmbeddedConnection,
  use: (connection: EmbeddedConnection) => Promise<A>
): Promise<A> => {
  if (unclean.has(connection)) await clean(connection)
  unclean.add(connection)
  try {
    const used = await use(connection)
    unclean.delete(connection)
    return used
  } catch (cause) {
    await clean(connection).catch(() => undefined)
    throw cause
  }
}

const oneAtATime = (connection: EmbeddedConnection): EmbeddedEngine["runBeside"] => {
  let last: Promise<unknown> = Promise.resolve()
  return (use) => {
    const run = last.then(() => useClean(connection, use))
    last = run.catch(() => undefined)
    return run
  }
}

const makePool = (connections: ReadonlyArray<EmbeddedConnection>): Pick<EmbeddedEngine, "run"> => {
  const free = [...connections]
  const running = { read: 0, write: 0 }
  const limits = { read: readsMax, write: writesMax }
  const waiting: Array<{ readonly kind: "read" | "write"; readonly start: (connection: EmbeddedConnection) => void }> =
    []

  /** Starts whoever waits longest and may run. */
  const turn = (): void => {
    for (let index = 0; index < waiting.length && free.length > 0;) {
      const next = waiting[index]!
      if (running[next.kind] >= limits[next.kind]) {
        index++
        continue
      }
      waiting.splice(index, 1)
      running[next.kind]++
      next.start(free.pop()!)
    }
  }

  return {
    run: (kind, use, signal) =>
      new Promise((done, failed) => {
        const give = (connection: EmbeddedConnection) => {
          free.push(connection)
          running[kind]--
          turn()
        }
        if (waiting.length >= waitingMax) {
          failed(new TooManyWaiting(`${waitingMax} statements wait for the embedded engine already`))
          return
        }
        waiting.push({
          kind,
          start: (connection) => {
            if (signal?.aborted === true) {
              give(connection)
              failed(new RunAborted())
              return
            }
            useClean(connection, use)
              .then(done, failed)
              .finally(() => give(connection))
          }
        })
        turn()
      })
  }
}
