import { execFile, spawn } from "node:child_process"
import { writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { ClickHouse } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { layerFromUrl, targetFrom } from "../../../src/clients/clickhouse/layerFromUrl.ts"
import { startClickHouseBridge } from "../../support/clickhouseBridge.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"

const folderFor = (purpose: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => temporaryFolder(purpose)),
      (made) => Effect.promise(made.remove)
    ),
    (made) => made.path
  )

const inserter = fileURLToPath(new URL("./insertingProcess.ts", import.meta.url))

/** A process that inserts into an embedded folder for ever, and prints each acknowledged number. */
const startInserter = (folder: string) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, [inserter, folder], { stdio: ["ignore", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

describe("targetFrom", () => {
  it("an embedded URL names a folder and perhaps a database", () => {
    assert.deepStrictEqual(
      targetFrom("embedded:./data/x"),
      Result.succeed({ _tag: "Embedded" as const, folder: "./data/x", database: "activity" })
    )
    assert.deepStrictEqual(
      targetFrom("embedded:/a?database=b"),
      Result.succeed({ _tag: "Embedded" as const, folder: "/a", database: "b" })
    )
  })

  it("an HTTP URL names user, password, host, port and database, percent-encoded where needed", () => {
    assert.deepStrictEqual(
      targetFrom("https://wri%40ter:p%2Fw@ch.example:8443/facts"),
      Result.succeed({
        _tag: "Http" as const,
        url: "https://ch.example:8443",
        user: "wri@ter",
        password: "p/w",
        database: "facts"
      })
    )
    assert.deepStrictEqual(
      targetFrom("http://ch:8123"),
      Result.succeed({
        _tag: "Http" as const,
        url: "http://ch:8123",
        user: "default",
        password: "",
        database: "activity"
      })
    )
  })

  it("anything else is refused, without repeating a password", () => {
    for (const url of [
      "",
      "embedded:",
      "tcp://u:secret@ch:9000",
      "http://u:secret@ch/a-b",
      "http://u:secret%zz@ch/a",
      "embedded:/a?database=x;y"
    ]) {
      const target = targetFrom(url)
      assert.isTrue(Result.isFailure(target), url)
      if (Result.isFailure(target)) assert.notInclude(target.failure, "secret")
    }
  })
})

describe("setting up", () => {
  it.live("a folder that another process holds fails at start with a sentence that names it", () =>
    Effect.gen(function* () {
      const folder = yield* folderFor("in-use")
      const bridge = yield* Effect.acquireRelease(
        Effect.promise(() => startClickHouseBridge({ folder })),
        (started) => Effect.promise(started.stop)
      )
      const error = yield* Effect.flip(
        Effect.scoped(ClickHouse.pipe(Effect.provide(layerFromUrl(`embedded:${folder}`))))
      )
      assert.strictEqual(error.reason._tag, "DataFolderInUse")
      assert.include(error.message, `the data folder ${folder} is in use by another process (${bridge.pid})`)
      yield* Effect.promise(bridge.stop)
      yield* ClickHouse.use((clickhouse) => clickhouse.ping).pipe(Effect.provide(layerFromUrl(`embedded:${folder}`)))
    })
  )

  it.live("a folder that is a file is refused with its name, and is not said to be in use", () =>
    Effect.gen(function* () {
      const file = `${yield* folderFor("file")}/data`
      yield* Effect.promise(() => writeFile(file, "not a folder"))
      const error = yield* Effect.flip(Effect.scoped(ClickHouse.pipe(Effect.provide(layerFromUrl(`embedded:${file}`)))))
      assert.strictEqual(error.reason._tag, "DataFolderRefused")
      assert.include(error.message, file)
    })
  )

  it.live("after kill -9 of a process that inserts, the folder opens and holds every acknowledged row", () =>
    Effect.gen(function* () {
      const folder = yield* folderFor("killed")
      const child = yield* startInserter(folder)
      const acknowledged = yield* Effect.promise(async () => {
        let last = -1
        for await (const line of createInterface({ input: child.stdout })) {
          last = Number(line)
          if (last === 30) child.kill("SIGKILL")
        }
        return last
      })
      const rows = yield* ClickHouse.use((clickhouse) =>
        clickhouse.query({
          sql: "SELECT n FROM numbers_kept WHERE n <= {last:UInt32} ORDER BY n",
          parameters: { last: acknowledged }
        })
      ).pipe(Effect.provide(layerFromUrl(`embedded:${folder}`)))
      assert.deepStrictEqual(
        rows.map((row) => row["n"]),
        Array.from({ length: acknowledged + 1 }, (_, n) => n)
      )
    })
  )

  it.live("without the package chdb the embedded layer says what to install", () =>
    Effect.gen(function* () {
      const folder = yield* folderFor("no-engine")
      const hook =
        "export const resolve = (name, context, next) => { if (name === 'chdb') throw new Error('none'); return next(name, context) }"
      const register = `import { register } from "node:module"; register("data:text/javascript,${encodeURIComponent(hook)}")`
      const { stdout } = yield* Effect.promise(() =>
        promisify(execFile)(process.execPath, [
          "--import",
          `data:text/javascript,${encodeURIComponent(register)}`,
          inserter,
          folder
        ])
      )
      assert.include(stdout, "EmbeddedEngineMissing")
      assert.include(stdout, "npm install chdb")
    })
  )
})

describe("a server that cannot answer", () => {
  const reasonOf = (url: string, requestTimeoutMillis?: number) =>
    ClickHouse.use((clickhouse) => clickhouse.query({ sql: "SELECT 1" })).pipe(
      Effect.provide(layerFromUrl(url, requestTimeoutMillis === undefined ? {} : { requestTimeoutMillis })),
      Effect.flip,
      Effect.map((error) => (error._tag === "ClickHouseError" ? error.reason : assert.fail(error.message)))
    )

  it.live("nobody listens: unavailable, and the layer was built all the same", () =>
    Effect.gen(function* () {
      // Port 1 (tcpmux) is never used by tests.
      const reason = yield* reasonOf("http://127.0.0.1:1/activity")
      assert.strictEqual(reason._tag, "ClickHouseUnavailable")
      assert.isTrue(reason.retryable)
    })
  )

  it.live("no answer within the request's timeout, and an answer of a proxy: unavailable", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.promise(
          () =>
            new Promise<ReturnType<typeof createServer>>((resolve) => {
              const made = createServer((request, response) => {
                if (request.url?.includes("/proxy") === true || request.url?.includes("database=proxy") === true) {
                  response.writeHead(502).end("<html>Bad Gateway</html>")
                }
              })
              made.listen(0, "127.0.0.1", () => resolve(made))
            })
        ),
        (made) =>
          Effect.sync(() => {
            made.closeAllConnections()
            made.close()
          })
      )
      // The address of a listening TCP server is an AddressInfo.
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      assert.strictEqual((yield* reasonOf(`${url}/silent`, 200))._tag, "ClickHouseUnavailable")
      assert.strictEqual((yield* reasonOf(`${url}/proxy`))._tag, "ClickHouseUnavailable")
    })
  )

  it.live("a bridge that was killed and started again answers through the same layer", () =>
    Effect.gen(function* () {
      const folder = yield* folderFor("restart")
      const first = yield* Effect.promise(() => startClickHouseBridge({ folder }))
      yield* Effect.gen(function* () {
        const clickhouse = yield* ClickHouse
        yield* clickhouse.ping
        yield* Effect.promise(first.kill)
        assert.strictEqual((yield* Effect.flip(clickhouse.ping)).reason._tag, "ClickHouseUnavailable")
        yield* Effect.acquireRelease(
          Effect.promise(() => startClickHouseBridge({ folder, port: Number(new URL(first.url).port) })),
          (second) => Effect.promise(second.stop)
        )
        yield* clickhouse.ping
      }).pipe(Effect.provide(layerFromUrl(first.url)))
    })
  )

  it.live("a wrong password is refused with code 516", () =>
    Effect.gen(function* () {
      const folder = yield* folderFor("password")
      const bridge = yield* Effect.acquireRelease(
        Effect.promise(() => startClickHouseBridge({ folder, password: "right" })),
        (started) => Effect.promise(started.stop)
      )
      const reason = yield* reasonOf(bridge.url.replace("http://", "http://default:wrong@"))
      assert.deepInclude(reason, { _tag: "ClickHouseRefused", code: 516 })
    })
  )
})
