/** One sight of a Kubernetes Event as the message that MILO_EVENTS holds. */
import type { OutgoingMessage } from "../clients/nats/Nats.ts"
import type { KubernetesEvent } from "../domain/KubernetesEvent.ts"
import { headerNames, type Mark } from "../domain/streams.ts"
import { eventSubject } from "../domain/subject.ts"
import { tenantHeader } from "../domain/Tenant.ts"

/** @param mark `added` at the first sight of this Event, `modified` later */
export const eventMessage = (event: KubernetesEvent, mark: Mark): OutgoingMessage => ({
  subject: eventSubject({
    tenantType: event.tenant.type,
    tenantName: event.tenant.name,
    apiGroup: event.regarding.apiGroup,
    kind: event.regarding.kind,
    namespace: event.regarding.namespace,
    name: event.regarding.name
  }),
  id: event.version,
  body: Buffer.from(event.json),
  headers: {
    [headerNames.cluster]: event.cluster,
    [headerNames.tenant]: tenantHeader(event.tenant),
    [headerNames.key]: event.key,
    [headerNames.mark]: mark,
    [headerNames.order]: event.order.toString()
  }
})
