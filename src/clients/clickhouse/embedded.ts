/** The embedded layer: the engine in this process, its data in a folder that no other process may hold. */
import { randomUUID } from "node:crypto"
import { rm, rmSync, writeFile } from "node:fs"
import { join, resolve } from "node:path"
import { promisify } from "node:util"
import { Effect, Layer } from "effect"
import { makeFolder } from "../../runtime/makeFolder.ts"
import { ClickHouse, type ClickHouseError, type Statement } from "./ClickHouse.ts"
import { type EmbeddedConnection, type EmbeddedEngine, openEmbeddedEngine } from "./embeddedEngine.ts"
import { errorOf, unavailable } from "./faults.ts"
import { insertSettings } from "./insertSettings.ts"
import { bindParameters, ParameterMissing, quoted, quotedName } from "./parameters.ts"
import { ClickHouseSetupError, DataFolderRefused } from "./setupErrors.ts"
import { makeStoppable } from "./stoppable.ts"

export const layerEmbedded = (options: {
  readonly folder: string
  readonly database: string
}): Layer.Layer<ClickHouse, ClickHouseSetupError> =>
  Layer.effect(
    ClickHouse,
    Effect.gen(function* () {
      const engine = yield* openEmbeddedEngine(options.folder, options.database, connectionArgs)
      // Nobody else has the folder: what a process that was killed has left here is nobody's.
      const inserts = yield* emptyFolder(join(resolve(options.folder), "inserts"))
      return make(engine, options.database, inserts)
    })
  )

const emptyFolder = (folder: string): Effect.Effect<string, ClickHouseSetupError> =>
  Effect.try({
    try: () => {
      rmSync(folder, { recursive: true, force: true })
      makeFolder(folder)
      return folder
    },
    catch: (cause) => new ClickHouseSetupError({ reason: new DataFolderRefused({ folder, cause }) })
  })

const mebibyte = 1024 * 1024

/**
 * What the engine may hold inside of our process. Its own bounds are those of a large server: caches of what queries have
 * read up to 14 GiB, 128 threads that remove merged parts, and 1,000 threads that wait for work.
 *
 * @decision 0019-memory-of-up
 */
const engineBounds = {
  mark_cache_size: 128 * mebibyte,
  index_mark_cache_size: 64 * mebibyte,
  text_index_tokens_cache_size: 32 * mebibyte,
  text_index_header_cache_size: 32 * mebibyte,
  text_index_postings_cache_size: 64 * mebibyte,
  max_parts_cleaning_thread_pool_size: 2,
  max_thread_pool_free_size: 16
}

/**
 * Wide integers as text: a JSON number would lose their last digits. 16 MiB of statement: the values of parameters
 * stand in it.
 */
const connectionArgs = [
  "--output_format_json_quote_64bit_integers=1",
  `--max_query_size=${16 * mebibyte}`,
  ...Object.entries(engineBounds).map(([name, bound]) => `--${name}=${bound}`)
]

const make = (engine: EmbeddedEngine, database: string, inserts: string): ClickHouse["Service"] => {
  const run = <A>(kind: "read" | "write", use: (connection: EmbeddedConnection) => Promise<A>) =>
    Effect.tryPromise({ try: (signal) => engine.run(kind, use, signal), catch: errorFrom })
  const bound = (statement: Statement) => Effect.try({ try: () => bindParameters(statement), catch: errorFrom })
  const stoppable = makeStoppable((sql) =>
    Effect.tryPromise({ try: () => engine.runBeside((connection) => connection.queryAsync(sql)), catch: errorFrom })
  )

  return ClickHouse.of({
    database,
    // It was created when the folder was opened.
    createDatabase: () => Effect.void,
    query: Effect.fn("ClickHouse.query")((statement) =>
      Effect.flatMap(bound(statement), (bare) =>
        stoppable(bare, (sql) =>
          run("read", async (connection) => {
            const result = await connection.queryAsync(sql, { format: "JSONEachRow" })
            return rowsOf(result.text())
          })
        )
      )
    ),
    command: Effect.fn("ClickHouse.command")((sql) =>
      run("write", (connection) => connection.queryAsync(sql)).pipe(Effect.asVoid)
    ),
    /**
     * From a file: what stands behind a statement chdb takes for a statement too, and looks for words in all of it, which
     * took as long as all the rest of an insert.
     *
     * @decision 0032-inserts-unread
     */
    insert: Effect.fn("ClickHouse.insert")(({ table, lines, token }) =>
      lines.length === 0
        ? Effect.void
        : run("write", async (connection) => {
            const file = join(inserts, randomUUID())
            try {
              await writeWhole(file, bytesOf(lines), { mode: 0o600 })
              await connection.queryAsync(
                `INSERT INTO ${quotedName(table)} FROM INFILE ${quoted(patternOf(file))} COMPRESSION 'none' ` +
                  `SETTINGS ${insertSettings(token)} FORMAT JSONEachRow`
              )
            } finally {
              // Nobody waits for it: what stays goes when the folder is opened again.
              rm(file, () => undefined)
            }
          })
    ),
    ping: run("read", (connection) => connection.queryAsync("SELECT 1")).pipe(Effect.asVoid)
  })
}

/** At once: the one of `node:fs/promises` waits for its turn after each 512 KiB, while this thread makes the next rows. */
const writeWhole = promisify(writeFile)

/** The engine takes a path for a pattern. What means something in one stands for any letter: no other file has such a name. */
const patternOf = (file: string): string => file.replaceAll(/[*{}]/g, "?")

/** Line by line: joined, they would be one string of tens of megabytes, of two bytes a letter for the sake of a single one. */
const bytesOf = (lines: ReadonlyArray<string>): Uint8Array => {
  const bytes = Buffer.allocUnsafe(lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0))
  let end = 0
  for (const line of lines) {
    end += bytes.write(line, end)
    bytes[end++] = 0x0a
  }
  return bytes
}

const rowsOf = (text: string): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  // JSONEachRow is one object per line; line breaks inside of values are escaped.
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))

/** Whatever was inserted, the same fault is told in the same words. */
const insertedFile = /\(in file\/uri [^\n]*\/inserts\/[0-9a-f-]{36}\): /

/** chdb keeps the engine's code beside the message; without one, the engine itself is in trouble. */
const errorFrom = (cause: unknown): ClickHouseError => {
  // A statement of ours without its parameter is a bug; it shows itself as a refusal (BAD_QUERY_PARAMETER).
  if (cause instanceof ParameterMissing) return errorOf(457, cause.message)
  if (cause instanceof Error && "clickhouseCode" in cause && typeof cause.clickhouseCode === "number") {
    return errorOf(cause.clickhouseCode, cause.message.replace(insertedFile, ""))
  }
  const code = cause instanceof Error ? /^Code: (\d+)\./.exec(cause.message)?.[1] : undefined
  return code === undefined ? unavailable(cause) : errorOf(Number(code), String(cause))
}
