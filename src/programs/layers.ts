/** The layers that programs have in common. */
import { Effect, Layer } from "effect"
import { layerFromUrl } from "../clients/clickhouse/layerFromUrl.ts"
import { natsLayer } from "../clients/nats/natsLayer.ts"
import { Nats } from "../clients/nats/Nats.ts"
import { Health } from "../runtime/Health.ts"
import { Metrics } from "../runtime/Metrics.ts"
import { StartRefused } from "../runtime/StartRefused.ts"

export const clickHouseFrom = (url: string) =>
  layerFromUrl(url).pipe(
    Layer.catch((error) => Layer.effectContext(new StartRefused({ sentence: sentence(error.message) })))
  )

export const natsFrom = (url: string, program: string) =>
  natsLayer({ servers: url.split(",").map((server) => server.trim()), name: `activity-${program}` })

/** Health and metrics of one process; the bus tells both of itself. */
export const observed = Layer.mergeAll(Health.layer, Metrics.layer)

/** Registers the bus with the probes. `role` says whether this program can work without it. */
export const watchNats = (role: "ready" | "informative") =>
  Effect.gen(function*() {
    const nats = yield* Nats
    const health = yield* Health
    yield* health.register({
      name: "nats",
      role,
      problem: () => nats.connected() ? undefined : "not connected"
    })
  })

const sentence = (text: string): string => {
  const whole = text.endsWith(".") ? text : `${text}.`
  return `${whole.charAt(0).toUpperCase()}${whole.slice(1)}`
}
