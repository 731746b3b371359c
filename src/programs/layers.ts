/** The layers that programs have in common. */
import { Effect, Layer } from "effect"
import { layerFromUrl } from "../clients/clickhouse/layerFromUrl.ts"
import { natsLayer } from "../clients/nats/natsLayer.ts"
import { Health } from "../runtime/Health.ts"
import { Metrics } from "../runtime/Metrics.ts"
import { StartRefused } from "../runtime/StartRefused.ts"
import { readPem } from "./readTls.ts"

/** @fails StartRefused when the URL, the folder or the authorities' file cannot be used */
export const clickHouseFrom = (settings: { readonly clickHouseUrl: string; readonly clickHouseCa: string }) =>
  Layer.unwrap(
    Effect.map(
      settings.clickHouseCa === "" ? Effect.succeed(undefined) : readPem("clickhouse-ca", settings.clickHouseCa),
      (authorities) =>
        layerFromUrl(
          settings.clickHouseUrl,
          authorities === undefined ? {} : { certificateAuthorities: authorities }
        ).pipe(Layer.catch((error) => Layer.effectContext(new StartRefused({ sentence: sentence(error.message) }))))
    )
  )

export interface NatsSettings {
  readonly natsUrl: string
  readonly natsCa: string
  readonly natsCertificate: string
  readonly natsKey: string
  readonly natsCredentials: string
}

/** @param alone no other process consumes there */
export const natsFrom = (settings: NatsSettings, program: string, alone = false) => {
  const tls = {
    ...(settings.natsCa === "" ? {} : { caFile: settings.natsCa }),
    ...(settings.natsCertificate === "" ? {} : { certFile: settings.natsCertificate }),
    ...(settings.natsKey === "" ? {} : { keyFile: settings.natsKey })
  }
  return natsLayer({
    servers: settings.natsUrl.split(",").map((server) => server.trim()),
    name: `activity-${program}`,
    alone,
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
    ...(settings.natsCredentials === "" ? {} : { credentialsFile: settings.natsCredentials })
  })
}

/** Health and metrics of one process. */
export const observed = Layer.mergeAll(Health.layer, Metrics.layer)

const sentence = (text: string): string => {
  const whole = text.endsWith(".") ? text : `${text}.`
  return `${whole.charAt(0).toUpperCase()}${whole.slice(1)}`
}
