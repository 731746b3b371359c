/** One reader of ACTIVITIES, by the official client, that does nothing; says "ready", and ends when all has come. */
import { jetstream } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { activities } from "../../../src/domain/streams.ts"
import { percentile, publishedMillis } from "../activityMessages.ts"
import { answerPart, partOptions, spend } from "../processes.ts"

const { events, natsUrl } = partOptions<{ readonly events: number; readonly natsUrl: string }>()
const connection = await connect({ servers: natsUrl })
const consumer = await jetstream(connection).consumers.get(activities.name)
const latencies: Array<number> = []
const spent = await spend(
  events,
  () =>
    new Promise<void>((resolve, reject) => {
      consumer
        .consume({
          callback: (message) => {
            const published = publishedMillis(message.string())
            if (published !== undefined) latencies.push(Date.now() - published)
            if (latencies.length === events) resolve()
          }
        })
        .then(() => console.log("ready"), reject)
    })
)
await connection.close()
answerPart({ ...spent, p50Millis: percentile(latencies, 0.5), p99Millis: percentile(latencies, 0.99) })
