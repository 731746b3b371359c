/**
 * The programs as processes of their own, on one nats-server and one ClickHouse bridge (an HTTP bridge in front of the
 * embedded engine, not a ClickHouse server).
 */
import { createClient } from "@clickhouse/client"
import { randomBytes } from "node:crypto"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { stringify } from "yaml"
import { serverCertificate } from "../../src/runtime/Tls.ts"
import { adminRoles } from "./adminRoles.ts"
import { type ChildProcess, startProgram } from "./childProcess.ts"
import { type Bridge, startClickHouseBridge } from "./clickhouseBridge.ts"
import { https, type HttpsAnswer, type HttpsOptions } from "./httpsJson.ts"
import { startNatsServer, type TestNatsServer } from "./natsServer.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

export interface TestUser {
  readonly token: string
  readonly user: {
    readonly username: string
    readonly uid?: string
    readonly groups?: ReadonlyArray<string>
    readonly extra?: Readonly<Record<string, ReadonlyArray<string>>>
  }
}

export interface System extends AsyncDisposable {
  readonly folder: string
  readonly nats: TestNatsServer
  readonly bridge: Bridge
  readonly authority: string
  readonly adminToken: string
  /** Starts a program; waits until it says that it started. */
  readonly start: (program: ProgramName, flags?: ReadonlyArray<string>) => Promise<RunningProgram>
  readonly query: <Row>(sql: string) => Promise<ReadonlyArray<Row>>
}

export type ProgramName = "collector" | "processor" | "writer" | "apiserver" | "controller"

export interface RunningProgram {
  readonly process: ChildProcess
  /** Of a collector or an API server: a request to it. */
  readonly request: (path: string, options?: Partial<HttpsOptions>) => Promise<HttpsAnswer>
  readonly url: string
}

export interface SystemOptions {
  readonly users?: ReadonlyArray<TestUser>
  /** RBAC documents beside the admin's. */
  readonly roles?: string
}

/** Servers started, tables made; no program yet. */
export const startSystem = async (options: SystemOptions = {}): Promise<System> => {
  const folder = await temporaryFolder("system")
  const nats = await startNatsServer()
  const bridge = await startClickHouseBridge({ folder: join(folder.path, "clickhouse") })
  const clickHouseUrl = `${bridge.url}/activity`
  const tls = await Effect.runPromise(serverCertificate(join(folder.path, "tls"), []))
  const adminToken = "admin-token"
  writeFileSync(
    join(folder.path, "tokens.yaml"),
    stringify([{ token: adminToken, user: { username: "admin", groups: ["admins"] } }, ...(options.users ?? [])])
  )
  writeFileSync(join(folder.path, "roles.yaml"), `${adminRoles("admins")}${options.roles ?? ""}`)
  writeFileSync(join(folder.path, "cursor.key"), randomBytes(32))
  const migrate = startProgram(["migrate", "--clickhouse-url", clickHouseUrl])
  const ended = await migrate.exited
  if (ended.code !== 0) throw new Error(`migrate failed:\n${migrate.log()}`)
  const client = createClient({ url: bridge.url, database: "activity" })
  const running = new Set<ChildProcess>()

  const pem = [
    "--tls-certificate",
    join(folder.path, "tls/server.crt"),
    "--tls-key",
    join(folder.path, "tls/server.key")
  ]
  const flagsOf: Readonly<Record<ProgramName, ReadonlyArray<string>>> = {
    collector: ["--audit-listen", "127.0.0.1:0", "--spool", join(folder.path, "spool"), ...pem],
    processor: [],
    writer: ["--clickhouse-url", clickHouseUrl],
    controller: ["--clickhouse-url", clickHouseUrl],
    apiserver: [
      "--clickhouse-url",
      clickHouseUrl,
      "--api-listen",
      "127.0.0.1:0",
      ...pem,
      "--tokens",
      join(folder.path, "tokens.yaml"),
      // A test that counts records counts those that it sent.
      "--record-requests",
      "none",
      "--roles",
      join(folder.path, "roles.yaml"),
      "--cursor-key",
      join(folder.path, "cursor.key")
    ]
  }
  return {
    folder: folder.path,
    nats,
    bridge,
    authority: tls.authority,
    adminToken,
    start: async (program, flags = []) => {
      const defaults = ["--nats-url", nats.url, "--ops-listen", "127.0.0.1:0", ...flagsOf[program]]
      // A flag that is given replaces its default; each has one value.
      const kept = defaults.filter((_, index) => !flags.includes(defaults[index - (index % 2)] ?? ""))
      const process = startProgram([program, ...kept, ...flags])
      running.add(process)
      await process.waitForLine(new RegExp(`${program} started`))
      const url = /"(?:audit|api)":"(https:[^"]+)"/.exec(process.log())?.[1] ?? ""
      return {
        process,
        url,
        request: (path, more = {}) =>
          https(`${url}${path}`, {
            authority: tls.authority,
            ...(program === "apiserver" ? { token: adminToken } : {}),
            ...more
          })
      }
    },
    query: async (sql) => (await client.query({ query: sql, format: "JSONEachRow" })).json(),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...running].map((process) => process.kill()))
      await client.close()
      await bridge.stop()
      await nats[Symbol.asyncDispose]()
      await folder.remove()
    }
  }
}
