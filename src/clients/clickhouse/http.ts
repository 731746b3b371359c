/** The HTTP layer: a ClickHouse server, by @clickhouse/client. Building it needs no answer from the server. */
import { Readable } from "node:stream"
import { finished } from "node:stream/promises"
import * as zlib from "node:zlib"
import {
  ClickHouseError as ServerError,
  type ClickHouseClient,
  ClickHouseLogLevel,
  createClient
} from "@clickhouse/client"
import { Effect, Layer } from "effect"
import { ClickHouse, type ClickHouseError, type Row } from "./ClickHouse.ts"
import { errorOf, unavailable } from "./faults.ts"
import { insertSettings } from "./insertSettings.ts"
import { quotedName } from "./parameters.ts"
import { makeStoppable } from "./stoppable.ts"

/** A page takes milliseconds, a batch of 5,000 rows below a second: half a minute without an answer is an outage. */
const requestTimeoutMillisDefault = 30_000

/**
 * Of 1,000 records (3.5 MB) gzip makes 7 % in 20 ms of CPU, zstd 4 % in 3. Node has it from 22.15 on.
 *
 * @decision 0032-inserts-unread
 */
const requestCodec = "createZstdCompress" in zlib ? "zstd" : "gzip"

/** Ten sockets per host; more requests than that wait. */
const connectionsMax = 10

export interface HttpOptions {
  /** Scheme, host and port. */
  readonly url: string
  readonly user: string
  readonly password: string
  readonly database: string
  /** PEM of the authorities that may have signed the server's certificate; absent, the system's. */
  readonly certificateAuthorities?: string
  readonly requestTimeoutMillis?: number
}

export const layerHttp = (options: HttpOptions): Layer.Layer<ClickHouse> =>
  Layer.effect(
    ClickHouse,
    Effect.gen(function* () {
      const client = yield* open(options, options.database)
      // `CREATE DATABASE` must not be sent into the database that it creates; nor does a ping need it.
      const outside = yield* open(options, "default")
      return make(client, outside, options.database)
    })
  )

const open = (options: HttpOptions, database: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      createClient({
        url: options.url,
        username: options.user,
        password: options.password,
        database,
        application: "activity",
        request_timeout: options.requestTimeoutMillis ?? requestTimeoutMillisDefault,
        max_open_connections: connectionsMax,
        compression: { request: { codec: requestCodec }, response: true },
        // Long lists of parameters go into the body: a URL has a limit.
        use_multipart_params_auto: true,
        // Failures are ours to report, once.
        log: { level: ClickHouseLogLevel.OFF },
        ...(options.certificateAuthorities === undefined
          ? {}
          : { tls: { ca_cert: Buffer.from(options.certificateAuthorities) } })
      })
    ),
    (client) => Effect.promise(() => client.close())
  )

const make = (client: ClickHouseClient, outside: ClickHouseClient, database: string): ClickHouse["Service"] => {
  const run = <A>(use: (signal: AbortSignal) => Promise<A>) => Effect.tryPromise({ try: use, catch: errorFrom })
  const stoppable = makeStoppable((sql) => run((signal) => client.command({ query: sql, abort_signal: signal })))
  return ClickHouse.of({
    database,
    createDatabase: Effect.fn("ClickHouse.createDatabase")((onCluster) =>
      run((signal) =>
        outside.command({
          query: `CREATE DATABASE IF NOT EXISTS ${quotedName(database)} ${onCluster}`,
          abort_signal: signal
        })
      ).pipe(Effect.asVoid)
    ),
    query: Effect.fn("ClickHouse.query")((statement) =>
      stoppable(statement.sql, (sql) =>
        run(async (signal): Promise<ReadonlyArray<Row>> => {
          const result = await client.query({
            query: sql,
            format: "JSONEachRow",
            query_params: { ...statement.parameters },
            // On a server a setting in the URL is this statement's alone.
            clickhouse_settings: { output_format_json_quote_64bit_integers: 1 },
            abort_signal: signal
          })
          return await result.json<Row>()
        })
      )
    ),
    command: Effect.fn("ClickHouse.command")((sql) =>
      run((signal) => client.command({ query: sql, abort_signal: signal })).pipe(Effect.asVoid)
    ),
    insert: Effect.fn("ClickHouse.insert")(({ table, lines, token }) =>
      lines.length === 0
        ? Effect.void
        : run(async (signal) => {
            const result = await client.exec({
              query: `INSERT INTO ${quotedName(table)} SETTINGS ${insertSettings(token)} FORMAT JSONEachRow`,
              values: Readable.from([lines.join("\n")]),
              abort_signal: signal
            })
            await drained(result.stream)
          })
    ),
    ping: run(async (signal) => {
      const result = await outside.query({ query: "SELECT 1", format: "JSONEachRow", abort_signal: signal })
      await result.text()
    })
  })
}

/** The socket is free for the next request only when the answer has been read. */
const drained = async (stream: Readable): Promise<void> => {
  stream.resume()
  await finished(stream)
}

const errorFrom = (cause: unknown): ClickHouseError =>
  cause instanceof ServerError && /^\d+$/.test(cause.code)
    ? errorOf(Number(cause.code), cause.message)
    : unavailable(cause)
