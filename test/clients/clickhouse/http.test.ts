import { Effect, Layer } from "effect"
import { layerFromUrl } from "../../../src/clients/clickhouse/layerFromUrl.ts"
import { startClickHouseBridge } from "../../support/clickhouseBridge.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"
import { clickHouseContract } from "./contract.ts"

// The linter knows process as the runtime's; a test reads its environment itself.
const serverUrl = process.env["CLICKHOUSE_URL"]

const throughBridge = Layer.unwrap(
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => temporaryFolder("bridge")),
      (made) => Effect.promise(made.remove)
    )
    const bridge = yield* Effect.acquireRelease(
      Effect.promise(() => startClickHouseBridge({ folder: folder.path, password: "p@ss/word" })),
      (started) => Effect.promise(started.stop)
    )
    return layerFromUrl(`${bridge.url.replace("http://", "http://default:p%40ss%2Fword@")}/contract`)
  })
)

if (serverUrl !== undefined && /^https?:/.test(serverUrl)) {
  clickHouseContract("a ClickHouse server over HTTP", layerFromUrl(serverUrl))
} else {
  clickHouseContract("HTTP, through the bridge (not a server)", throughBridge)
}
