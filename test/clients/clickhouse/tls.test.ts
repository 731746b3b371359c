import { request } from "node:http"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { ClickHouse } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { layerFromUrl } from "../../../src/clients/clickhouse/layerFromUrl.ts"
import { serverCertificate } from "../../../src/runtime/Tls.ts"
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

/** TLS in front of the bridge. */
const startTls = (bridgeUrl: string, key: string, certificate: string) =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve) => {
          const server = createServer({ key, cert: certificate }, (incoming, answer) => {
            const outgoing = request(
              `${bridgeUrl}${incoming.url}`,
              { method: incoming.method ?? "GET", headers: incoming.headers },
              (response) => {
                answer.writeHead(response.statusCode ?? 502, response.headers)
                response.pipe(answer)
              }
            )
            incoming.pipe(outgoing)
          })
          server.listen(0, "127.0.0.1", () => resolve(server))
        })
    ),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )

it.live("over https the server's certificate must be signed by the given authority", () =>
  Effect.gen(function* () {
    const bridge = yield* Effect.acquireRelease(
      Effect.flatMap(folderFor("tls-data"), (folder) => Effect.promise(() => startClickHouseBridge({ folder }))),
      (started) => Effect.promise(started.stop)
    )
    const ours = yield* serverCertificate(yield* folderFor("tls-ours"), [])
    const theirs = yield* serverCertificate(yield* folderFor("tls-theirs"), [])
    const server = yield* startTls(bridge.url, ours.key, ours.certificate)
    // The address of a listening TCP server is an AddressInfo.
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/activity`
    const pinged = (certificateAuthorities?: string) =>
      ClickHouse.use((clickhouse) => clickhouse.ping).pipe(
        Effect.provide(layerFromUrl(url, certificateAuthorities === undefined ? {} : { certificateAuthorities })),
        Effect.match({
          onFailure: (error) => (error._tag === "ClickHouseError" ? error.reason._tag : error._tag),
          onSuccess: () => "pong"
        })
      )
    assert.strictEqual(yield* pinged(ours.authority), "pong")
    assert.strictEqual(yield* pinged(theirs.authority), "ClickHouseUnavailable")
    assert.strictEqual(yield* pinged(), "ClickHouseUnavailable")
  })
)
