/** The layers that programs have in common. */
import { Config, Effect, Layer, References } from "effect"
import { layerFromUrl } from "../clients/clickhouse/layerFromUrl.ts"
import { kubeLayer } from "../clients/kube/kubeLayer.ts"
import type { ConnectionOptions } from "../clients/nats/Connection.ts"
import { natsLayer } from "../clients/nats/natsLayer.ts"
import { Health } from "../runtime/Health.ts"
import { Metrics } from "../runtime/Metrics.ts"
import { makeSpanExport } from "../runtime/SpanExport.ts"
import { StartRefused } from "../runtime/StartRefused.ts"
import { Tracing } from "../runtime/Tracing.ts"
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
export const natsFrom = (settings: NatsSettings, program: string, alone = false) =>
  natsLayer({ ...natsOptions(settings, program), alone })

/** How a program dials NATS. */
export const natsOptions = (settings: NatsSettings, program: string): ConnectionOptions => {
  const tls = {
    ...(settings.natsCa === "" ? {} : { caFile: settings.natsCa }),
    ...(settings.natsCertificate === "" ? {} : { certFile: settings.natsCertificate }),
    ...(settings.natsKey === "" ? {} : { keyFile: settings.natsKey })
  }
  return {
    servers: settings.natsUrl.split(",").map((server) => server.trim()),
    name: `activity-${program}`,
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
    ...(settings.natsCredentials === "" ? {} : { credentialsFile: settings.natsCredentials })
  }
}

/**
 * The API server of the cluster: by kubeconfig, else by the service account of the pod that this runs in.
 *
 * @fails StartRefused when there is neither, or it cannot be used
 */
export const kubeFrom = (settings: { readonly kubeconfig: string }, program: string) => {
  const name = `activity-${program}`
  if (settings.kubeconfig !== "") return kubeLayer({ kubeconfig: settings.kubeconfig, name })
  return Layer.unwrap(
    Effect.gen(function* () {
      const host = yield* inPod("KUBERNETES_SERVICE_HOST", "")
      if (host === "") {
        return Layer.effectContext(
          new StartRefused({ sentence: "This is no pod of a cluster: give --kubeconfig FILE." })
        )
      }
      return kubeLayer({ serviceAccount: { host, port: yield* inPod("KUBERNETES_SERVICE_PORT", "443") }, name })
    })
  )
}

/** What the kubelet tells every container; no setting of ours. */
const inPod = (name: string, otherwise: string) =>
  Config.String(name).pipe(
    Config.withDefault(otherwise),
    Effect.mapError((error) => new StartRefused({ sentence: `${name} cannot be read: ${error.message}` }))
  )

/** Health and metrics of one process. */
export const observed = Layer.mergeAll(Health.layer, Metrics.layer)

export interface TracingSettings {
  readonly otlpEndpoint: string
  readonly otlpHeaders: Readonly<Record<string, string>>
  readonly traceRatio: number
}

/**
 * Traces of a program, where there is somebody to send them to. What is not traced makes no spans at all.
 *
 * @fails StartRefused when OTEL_RESOURCE_ATTRIBUTES, which the exporter reads by itself, cannot be read
 */
export const tracingFrom = (settings: TracingSettings, program: string) =>
  Layer.mergeAll(
    Layer.succeed(References.TracerEnabled, false),
    settings.otlpEndpoint === ""
      ? Layer.empty
      : Layer.effect(
          Tracing,
          makeSpanExport({
            endpoint: settings.otlpEndpoint,
            headers: settings.otlpHeaders,
            serviceName: `activity-${program}`
          }).pipe(Effect.map((tracer) => ({ tracer, ratio: settings.traceRatio })))
        )
  )

const sentence = (text: string): string => {
  const whole = text.endsWith(".") ? text : `${text}.`
  return `${whole.charAt(0).toUpperCase()}${whole.slice(1)}`
}
