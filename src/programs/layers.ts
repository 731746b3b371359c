/** The layers that programs have in common. */
import { Layer } from "effect"
import { layerFromUrl } from "../clients/clickhouse/layerFromUrl.ts"
import { natsLayer } from "../clients/nats/natsLayer.ts"
import { Health } from "../runtime/Health.ts"
import { Metrics } from "../runtime/Metrics.ts"
import { StartRefused } from "../runtime/StartRefused.ts"

export const clickHouseFrom = (url: string) =>
  layerFromUrl(url).pipe(
    Layer.catch((error) => Layer.effectContext(new StartRefused({ sentence: sentence(error.message) })))
  )

/** @param alone no other process consumes there */
export const natsFrom = (url: string, program: string, alone = false) =>
  natsLayer({ servers: url.split(",").map((server) => server.trim()), name: `activity-${program}`, alone })

/** Health and metrics of one process. */
export const observed = Layer.mergeAll(Health.layer, Metrics.layer)

const sentence = (text: string): string => {
  const whole = text.endsWith(".") ? text : `${text}.`
  return `${whole.charAt(0).toUpperCase()}${whole.slice(1)}`
}
