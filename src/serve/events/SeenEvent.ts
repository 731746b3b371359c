/** A message of MILO_EVENTS: one sight of a Kubernetes Event, as watches see it. */
import type { StoredMessage } from "../../clients/nats/Nats.ts"
import { type Json, type JsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { kubernetesEventKey } from "../../domain/identity.ts"
import { holds, type Scope } from "../../domain/Scope.ts"
import { headerNames } from "../../domain/streams.ts"
import { type Tenant, tenantFromHeader } from "../../domain/Tenant.ts"
import { apiGroupFrom } from "../../normalise/kubernetesEventFrom.ts"

export interface SeenEvent {
  readonly cluster: string
  readonly tenant: Tenant
  /** Of events.k8s.io/v1, as it was normalised: the same that is stored. */
  readonly event: JsonObject
}

/** Undefined: it is no Event, or one that nothing tells from others. */
export const seenEventFrom = (stored: StoredMessage): SeenEvent | undefined => {
  const event = eventFrom(stored.body)
  return event === undefined || textAt(objectAt(event, "metadata"), "uid") === ""
    ? undefined
    : {
        cluster: stored.header(headerNames.cluster),
        tenant: tenantFromHeader(stored.header(headerNames.tenant)),
        event
      }
}

/** Messages of earlier exporters say it in their bodies alone, which are not always at hand. */
export const eventKeyOf = (stored: StoredMessage): string => {
  const told = stored.header(headerNames.key)
  if (told !== "" || stored.body.length === 0) return told
  const uid = textAt(objectAt(eventFrom(stored.body), "metadata"), "uid")
  return uid === "" ? "" : kubernetesEventKey(stored.header(headerNames.cluster), uid)
}

const decoder = new TextDecoder()

const eventFrom = (body: Uint8Array): JsonObject | undefined => {
  try {
    const parsed: Json = JSON.parse(decoder.decode(body))
    return objectAt({ parsed }, "parsed")
  } catch {
    return undefined
  }
}

export const inScope = (scope: Scope, { cluster, event, tenant }: SeenEvent): boolean =>
  holds(scope, {
    tenant,
    cluster,
    namespace: namespaceOf(event),
    apiGroup: apiGroupFrom(textAt(objectAt(event, "regarding"), "apiVersion")),
    // Nobody does an Event.
    userUid: ""
  })

export const namespaceOf = (event: JsonObject): string => textAt(objectAt(event, "metadata"), "namespace")

export const createdText = (event: JsonObject): string => textAt(objectAt(event, "metadata"), "creationTimestamp")
