/**
 * What MILO_EVENTS holds of a cluster behind a checkpoint: it was published, and the one who did had no time to save
 * that any more.
 */
import { Effect, Stream } from "effect"
import { Nats, type NatsError } from "../../clients/nats/Nats.ts"
import { headerNames, miloEvents } from "../../domain/streams.ts"
import { isWrittenEventSubject } from "../../domain/subject.ts"
import { type Tenant, tenantFromHeader } from "../../domain/Tenant.ts"
import type { Sight } from "./Sights.ts"

/** The stream says nothing for so long: the rest was trimmed meanwhile. */
const silence = "30 seconds"

/** A sight, and its order: a decimal number. */
export type PublishedSight = Sight & { readonly order: string }

/**
 * In the order of the stream. Bounded by what it holds: some 200 bytes of memory for each sight.
 *
 * @param sequence 0 for all that it holds
 */
export const publishedSince = (
  cluster: string,
  sequence: number
): Effect.Effect<ReadonlyArray<PublishedSight>, NatsError, Nats> =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const { firstSequence, lastSequence, messages } = yield* nats.streamState(miloEvents.name)
    if (messages === 0 || lastSequence <= sequence) return []
    /** One object for all Events of one. */
    const tenants = new Map<string, Tenant>()
    const tenantOf = (header: string): Tenant => {
      const tenant = tenants.get(header) ?? tenantFromHeader(header)
      tenants.set(header, tenant)
      return tenant
    }
    return yield* nats.tail({ stream: miloEvents.name, from: Math.max(firstSequence, sequence + 1) }).pipe(
      Stream.takeUntil((message) => message.sequence >= lastSequence),
      Stream.timeout(silence),
      Stream.filter(
        (message) => message.header(headerNames.cluster) === cluster && !isWrittenEventSubject(message.subject)
      ),
      Stream.map((message): PublishedSight => {
        // Published by an exporter: a normalised Event, which has both.
        const { metadata } = JSON.parse(decoder.decode(message.body)) as {
          readonly metadata: { readonly uid: string; readonly resourceVersion?: string }
        }
        return {
          uid: metadata.uid,
          resourceVersion: metadata.resourceVersion ?? "",
          tenant: tenantOf(message.header(headerNames.tenant)),
          order: message.header(headerNames.order)
        }
      }),
      Stream.runCollect
    )
  })

const decoder = new TextDecoder()
