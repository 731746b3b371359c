/** Kubernetes Events as the exporter publishes them. */
import { Effect, Result } from "effect"
import { Nats } from "../../src/clients/nats/Nats.ts"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"
import type { KubernetesEvent } from "../../src/domain/KubernetesEvent.ts"
import { headerNames, type Mark } from "../../src/domain/streams.ts"
import type { Tenant } from "../../src/domain/Tenant.ts"
import { kubernetesEventFrom } from "../../src/normalise/kubernetesEventFrom.ts"
import { eventMessage } from "../../src/programs/eventMessage.ts"
import { type Api, defaultTenant } from "./apiFixture.ts"

export interface TestSight {
  readonly event: JsonObject
  readonly tenant?: Tenant
  readonly cluster?: string
  readonly mark?: Mark
}

export const eventOf = ({ cluster = "local", event, tenant = defaultTenant }: TestSight): KubernetesEvent =>
  Result.getOrThrow(kubernetesEventFrom(event, { cluster, tenant }))

/**
 * Answers the sequences.
 *
 * @param keys false: without the Event's key in the headers
 */
export const publishEvents = (
  api: Api,
  sights: ReadonlyArray<TestSight>,
  { keys = true } = {}
): Promise<ReadonlyArray<number>> => {
  const messages = sights.map((sight) => eventMessage(eventOf(sight), sight.mark ?? "added"))
  const sent = keys
    ? messages
    : messages.map((message) => ({ ...message, headers: { ...message.headers, [headerNames.key]: "" } }))
  return api.run(Nats.use((nats) => nats.publish(sent)).pipe(Effect.map((acks) => acks.map((ack) => ack.sequence))))
}

/** An Event of events.k8s.io/v1 about a Pod, seen now. */
export const podEvent = (name: string, more: JsonObject = {}): JsonObject => {
  const { metadata, regarding, ...rest } = more
  const now = new Date().toISOString()
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: {
      name,
      namespace: "team-1",
      uid: `uid-${name}`,
      resourceVersion: "100",
      creationTimestamp: `${now.slice(0, 19)}Z`,
      ...(metadata as JsonObject | undefined)
    },
    eventTime: now,
    reason: "Pulled",
    type: "Normal",
    note: `Successfully pulled image for ${name}`,
    reportingController: "kubelet",
    reportingInstance: "node-1",
    regarding: {
      kind: "Pod",
      namespace: "team-1",
      name: "web",
      uid: "pod-1",
      apiVersion: "v1",
      ...(regarding as JsonObject | undefined)
    },
    ...rest
  }
}
