/**
 * Where Events that are written through this API go: to MILO_EVENTS, as an exporter's do, each on a subject of its own.
 *
 * A write follows what its writer has read: it is stored only while nothing has come to the subject since. Where the
 * subject has nothing (it is new, or what it had was trimmed, and so is in the store) an anchor is put there first:
 * before it, everything that was written of the Event is in the store; whatever comes behind it, or trims it, is
 * noticed. So a write that was trimmed between its neighbours' reading and writing cannot be overwritten unseen.
 *
 * @decision 0026-events-writes
 */
import { Context, Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { Nats, type NatsError } from "../../clients/nats/Nats.ts"
import type { KubernetesEvent } from "../../domain/KubernetesEvent.ts"
import { anchorMark, headerNames, type Mark, miloEvents } from "../../domain/streams.ts"
import { currentTraceparent } from "../../runtime/Tracing.ts"
import { writtenEventSubject } from "../../domain/subject.ts"
import { type Tenant, tenantHeader } from "../../domain/Tenant.ts"

/** Whose Event of which name. Events of several clusters that have all of it in common take turns. */
export interface EventPlace {
  readonly tenant: Tenant
  readonly namespace: string
  readonly name: string
}

export class EventLog extends Context.Service<
  EventLog,
  {
    /**
     * What the next write of the Event is to follow. Everything before it is in the stream, or in the store.
     *
     * @fails NatsError RevisionMismatch when another write came between
     */
    readonly end: (place: EventPlace) => Effect.Effect<number, NatsError>
    /**
     * Writes the next sight of an Event.
     *
     * @returns its sequence: the Event's resourceVersion
     * @fails NatsError RevisionMismatch when another write of an Event of that name came behind `end`
     */
    readonly write: (write: {
      readonly event: KubernetesEvent
      readonly mark: Mark
      readonly end: number
    }) => Effect.Effect<number, NatsError>
  }
>()("activity/serve/events/EventLog") {
  static readonly layer = Layer.effect(
    EventLog,
    Effect.gen(function* () {
      const nats = yield* Nats
      const stream = miloEvents.name
      const end = Effect.fn("EventLog.end")(function* (place: EventPlace) {
        const subject = subjectOf(place)
        const last = yield* nats.lastSequenceOn(stream, subject)
        if (last > 0) return last
        const headers = { [headerNames.mark]: anchorMark }
        const anchor = { subject, id: randomUUID(), body: new Uint8Array(0), headers }
        return (yield* nats.publishAfter({ stream, last: 0, message: anchor })).sequence
      })
      const write = Effect.fn("EventLog.write")(function* ({
        end: last,
        event,
        mark
      }: {
        readonly event: KubernetesEvent
        readonly mark: Mark
        readonly end: number
      }) {
        const traceparent = yield* currentTraceparent
        const message = {
          subject: subjectOf(event),
          // Of the write, not of what is written: sent again it is the same, and the same again is another.
          id: randomUUID(),
          body: Buffer.from(event.json),
          headers: {
            [headerNames.cluster]: event.cluster,
            [headerNames.tenant]: tenantHeader(event.tenant),
            [headerNames.key]: event.key,
            [headerNames.mark]: mark,
            [headerNames.order]: event.order.toString(),
            ...(traceparent === undefined ? {} : { [headerNames.trace]: traceparent })
          }
        }
        return (yield* nats.publishAfter({ stream, last, message })).sequence
      })
      return EventLog.of({ end, write })
    })
  )
}

const subjectOf = ({ name, namespace, tenant }: EventPlace): string =>
  writtenEventSubject({ tenantType: tenant.type, tenantName: tenant.name, namespace, name })
