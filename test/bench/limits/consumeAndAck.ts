/** Every message of a stream taken and acknowledged, by the official client in its cheapest way, without work. */
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { auditEvents } from "../../../src/domain/streams.ts"
import { answerPart, partOptions, spend } from "../processes.ts"

const durable = "bench-limit"
/** So many that the server never waits for acknowledgements. */
const ackPendingMax = 2_048

const {
  events,
  natsUrl,
  stream = auditEvents.name
} = partOptions<{ readonly events: number; readonly natsUrl: string; readonly stream?: string }>()
const connection = await connect({ servers: natsUrl })
const manager = await jetstreamManager(connection)
await manager.consumers.add(stream, {
  durable_name: durable,
  ack_policy: AckPolicy.Explicit,
  max_ack_pending: ackPendingMax
})
const consumer = await jetstream(connection).consumers.get(stream, durable)
const spent = await spend(events, async () => {
  let taken = 0
  await new Promise<void>((resolve, reject) => {
    consumer
      .consume({
        max_messages: 500,
        callback: (message) => {
          message.ack()
          if (++taken === events) resolve()
        }
      })
      .catch(reject)
  })
  await connection.flush()
})
await manager.consumers.delete(stream, durable)
await connection.close()
answerPart(spent)
