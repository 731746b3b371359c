/** Records with their ids and headers sent by the official client, nobody waiting for the server's word; at the end it is seen that all are stored. */
import { jetstreamManager } from "@nats-io/jetstream"
import { connect, headers, type MsgHdrs } from "@nats-io/transport-node"
import { auditEvents } from "../../../src/domain/streams.ts"
import { answerPart, partOptions, spend } from "../processes.ts"
import { messagesOf, readRecords } from "../records.ts"

/** Sent before the client's buffer is let go. */
const burst = 512

/** Sent and not stored yet: nats-server drops what a stream's queue of 10,000 messages has no room for. */
const unstoredMax = 8_000

const { audit, events, natsUrl } = partOptions<{
  readonly audit?: string
  readonly events: number
  readonly natsUrl: string
}>()
const { again } = messagesOf(await readRecords(audit, events))
const connection = await connect({ servers: natsUrl })
const manager = await jetstreamManager(connection)
const stored = async () => (await manager.streams.info(auditEvents.name)).state.messages
const before = await stored()
const storedAtLeast = async (count: number): Promise<void> => {
  while ((await stored()) - before < count) await new Promise((resolve) => setTimeout(resolve, 1))
}

const headersOf = (id: string, more: Readonly<Record<string, string>>): MsgHdrs => {
  const made = headers()
  made.set("Nats-Msg-Id", id)
  for (const [name, value] of Object.entries(more)) made.set(name, value)
  return made
}

const spent = await spend(events, async () => {
  for (let n = 0; n < events; n++) {
    const { body, headers: more = {}, id, subject } = again(n)
    connection.publish(subject, body, { headers: headersOf(`unconfirmed-${id}`, more) })
    if (n % burst === burst - 1) {
      await connection.flush()
      await storedAtLeast(n - unstoredMax)
    }
  }
  await connection.flush()
  await storedAtLeast(events)
})
await connection.close()
answerPart(spent)
