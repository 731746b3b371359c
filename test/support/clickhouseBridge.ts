/**
 * ClickHouse's HTTP interface in front of the embedded engine: a bridge, not a server.
 *
 * It proves the HTTP code path (URL, parameters, compression, errors, retries) and the SQL dialect. It proves nothing of a real
 * server: no progress, no exception in mid-stream, no cancelling, no quotas or roles, no replication, no distributed
 * DDL, no back-pressure (an answer is held whole). With CLICKHOUSE_URL set the same suites run on a server instead.
 *
 * As a process: `node test/support/clickhouseBridge.ts --data DIR --listen 127.0.0.1:0 [--password TEXT]`. It prints
 * its URL as its first line, and ends on SIGTERM or SIGINT.
 */
import { spawn } from "node:child_process"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { gunzipSync, gzipSync, zstdDecompressSync } from "node:zlib"
import { Effect } from "effect"
import type { QueryParameter } from "../../src/clients/clickhouse/ClickHouse.ts"
import { type EmbeddedEngine, openEmbeddedEngine } from "../../src/clients/clickhouse/embeddedEngine.ts"
import { bindParameters, quoted, quotedName } from "../../src/clients/clickhouse/parameters.ts"
import { freePort } from "./freePort.ts"

export interface Bridge {
  /** Without a database: `${url}/activity` is a CLICKHOUSE_URL. */
  readonly url: string
  readonly pid: number
  readonly stop: () => Promise<void>
  /** As an outage: the process is gone at once. */
  readonly kill: () => Promise<void>
}

/** Starts the bridge as a process of its own on a port that it may be given again, or on `port`. It ends with this process. */
export const startClickHouseBridge = async (options: {
  readonly folder: string
  readonly port?: number
  readonly password?: string
}): Promise<Bridge> => {
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(import.meta.url),
      "--data",
      options.folder,
      "--listen",
      `127.0.0.1:${options.port ?? (await freePort())}`,
      ...(options.password === undefined ? [] : ["--password", options.password]),
      "--until-stdin-closes"
    ],
    { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, UV_THREADPOOL_SIZE: "16" } }
  )
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve)
    child.once("error", reject)
    child.once("exit", (code) => reject(new Error(`the ClickHouse bridge ended with ${code}`)))
  })
  const end = (signal: NodeJS.Signals) => () => {
    child.kill(signal)
    return ended
  }
  return { url, pid: child.pid ?? 0, stop: end("SIGTERM"), kill: end("SIGKILL") }
}

class Refused extends Error {
  readonly status: number
  readonly code: number
  constructor(status: number, code: number, message: string) {
    super(`Code: ${code}. DB::Exception: ${message}`)
    this.status = status
    this.code = code
  }
}

/** URL parameters that are not settings. */
const ownParameters = new Set([
  "query",
  "database",
  "query_id",
  "enable_http_compression",
  "wait_end_of_query",
  "default_format"
])

const answer = async (engine: EmbeddedEngine, password: string, request: IncomingMessage, response: ServerResponse) => {
  const url = new URL(request.url ?? "/", "http://bridge")
  if (url.pathname === "/ping") return void response.end("Ok.\n")
  if (password !== "" && passwordOf(request) !== password) {
    throw new Refused(403, 516, "default: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)")
  }
  const body = await bodyOf(request, url.searchParams)
  const query = url.searchParams.get("query") ?? ""
  const sql = bindParameters({
    sql: (query === "" ? body : query) + settingsClause(url.searchParams, query || body),
    parameters: parametersOf(query || body, url.searchParams)
  })
  const database = url.searchParams.get("database") ?? "default"
  const result = await engine.run(
    /^\s*(SELECT|WITH|SHOW|EXPLAIN)/i.test(sql) ? "read" : "write",
    async (connection) => {
      await connection.queryAsync(`USE ${quotedName(database)}`)
      return await connection.queryAsync(query === "" ? sql : `${sql}\n${body}`)
    }
  )
  const bytes = Buffer.from(result.bytes())
  const compressed =
    url.searchParams.get("enable_http_compression") === "1" &&
    String(request.headers["accept-encoding"]).includes("gzip")
  response.writeHead(200, {
    "content-type": "application/x-ndjson; charset=UTF-8",
    "x-clickhouse-query-id": url.searchParams.get("query_id") ?? "",
    ...(compressed ? { "content-encoding": "gzip" } : {})
  })
  response.end(compressed ? gzipSync(bytes) : bytes)
}

const passwordOf = (request: IncomingMessage): string => {
  const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? "")?.[1] ?? ""
  return Buffer.from(basic, "base64")
    .toString()
    .replace(/^[^:]*:/, "")
}

/** The body's text. A form's `param_` parts join the URL's parameters; its body is its part `query`. */
const bodyOf = async (request: IncomingMessage, parameters: URLSearchParams): Promise<string> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  const type = request.headers["content-type"] ?? ""
  if (type.startsWith("multipart/form-data")) {
    const form = await new Response(bytes, { headers: { "content-type": type } }).formData()
    for (const [name, value] of form) if (name !== "query") parameters.set(name, String(value))
    return String(form.get("query"))
  }
  const encoding = request.headers["content-encoding"]
  if (encoding === "zstd") return zstdDecompressSync(bytes).toString()
  return (encoding === "gzip" ? gunzipSync(bytes) : bytes).toString()
}

/** A server takes settings from the URL for one statement; the engine only as a clause (SET would stay for ever). */
const settingsClause = (parameters: URLSearchParams, sql: string): string => {
  const settings = [...parameters].filter(([name]) => !ownParameters.has(name) && !name.startsWith("param_"))
  if (settings.length === 0) return ""
  if (/^\s*(INSERT|CREATE|ALTER|DROP|OPTIMIZE|SYSTEM)/i.test(sql)) {
    throw new Refused(501, 48, "the bridge knows settings of SELECT only. (NOT_IMPLEMENTED)")
  }
  return ` SETTINGS ${settings.map(([name, value]) => `${quotedName(name)}=${/^\d+$/.test(value) ? value : quoted(value)}`).join(", ")}`
}

/** The values of `param_<name>`: text of ClickHouse's escaped format, arrays in its literal form. */
const parametersOf = (sql: string, parameters: URLSearchParams): Record<string, QueryParameter> =>
  Object.fromEntries(
    [...parameters]
      .filter(([name]) => name.startsWith("param_"))
      .map(([name, value]) => {
        const isArray = sql.includes(`{${name.slice(6)}:Array(`)
        return [name.slice(6), isArray ? arrayFrom(value) : unescaped(value)]
      })
  )

const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  f: "\f",
  v: "\v",
  a: "\u0007",
  "0": "\0"
}

const unescaped = (text: string): string => text.replace(/\\(.)/gs, (_, letter: string) => escapes[letter] ?? letter)

const arrayFrom = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/'((?:[^'\\]|\\.)*)'|([^[\],\s]+)/gs), (match) => match[2] ?? unescaped(match[1] ?? ""))

const refusal = (cause: unknown): { readonly status: number; readonly code: number; readonly text: string } => {
  const text = cause instanceof Error ? cause.message : String(cause)
  if (cause instanceof Refused) return { status: cause.status, code: cause.code, text }
  const code = Number(/^Code: (\d+)\./.exec(text)?.[1] ?? 1002)
  // As ClickHouse's exceptionCodeToHTTPStatus does for these.
  const status =
    code === 60 || code === 81 ? 404 : code === 159 ? 408 : [27, 38, 41, 47, 62, 376].includes(code) ? 400 : 500
  return { status, code, text }
}

const serve = (options: { folder: string; host: string; port: number; password: string }) =>
  Effect.gen(function* () {
    const engine = yield* openEmbeddedEngine(options.folder, "default")
    const server = createServer((request, response) => {
      answer(engine, options.password, request, response).catch((cause: unknown) => {
        const { code, status, text } = refusal(cause)
        response.writeHead(status, { "content-type": "text/plain", "x-clickhouse-exception-code": String(code) })
        response.end(`${text}\n`)
      })
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(options.port, options.host, resolve))),
      () =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
    // The address of a listening TCP server is an AddressInfo.
    console.log(`http://${options.host}:${(server.address() as AddressInfo).port}`)
    yield* Effect.promise(
      () =>
        new Promise((resolve) => {
          process.once("SIGTERM", resolve)
          process.once("SIGINT", resolve)
          if (process.argv.includes("--until-stdin-closes")) process.stdin.resume().once("close", resolve)
        })
    )
  }).pipe(Effect.scoped)

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      data: { type: "string" },
      listen: { type: "string", default: "127.0.0.1:0" },
      password: { type: "string", default: "" },
      "until-stdin-closes": { type: "boolean" }
    }
  })
  const colon = values.listen.lastIndexOf(":")
  await Effect.runPromise(
    serve({
      folder: values.data ?? "clickhouse-data",
      host: values.listen.slice(0, colon),
      port: Number(values.listen.slice(colon + 1)),
      password: values.password
    })
  )
  process.exit(0)
}
