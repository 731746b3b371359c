/**
 * A look into the streams, over a connection of the test's own.
 */
import { Effect, ManagedRuntime, Stream } from "effect"
import { Nats, type StoredMessage, type StreamState } from "../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"

export interface Bus extends AsyncDisposable {
  readonly state: (stream: string) => Promise<StreamState>
  /** Everything that the stream holds at this moment, in order. */
  readonly messages: (stream: string) => Promise<ReadonlyArray<StoredMessage>>
  /** The last sequence up to which a consumer has acknowledged all. */
  readonly ackFloor: (stream: string, durable: string) => Promise<number>
}

const readWait = "2 seconds"
const readsMax = 10

export const connectBus = (url: string): Bus => {
  const runtime = ManagedRuntime.make(natsLayer({ servers: [url], name: "test" }))
  const state = (stream: string) => runtime.runPromise(Nats.use((nats) => nats.streamState(stream)))
  return {
    state,
    messages: (stream) =>
      runtime.runPromise(
        Effect.gen(function* () {
          const nats = yield* Nats
          const { firstSequence, messages } = yield* nats.streamState(stream)
          if (messages === 0) return []
          return [...(yield* nats.tail({ stream, from: firstSequence }).pipe(Stream.take(messages), Stream.runCollect))]
        }).pipe(
          // Messages that are deleted while they are read would be waited for: then all of it again.
          Effect.timeout(readWait),
          Effect.retry({ times: readsMax })
        )
      ),
    ackFloor: (stream, durable) => runtime.runPromise(Nats.use((nats) => nats.ackFloor(stream, durable))),
    [Symbol.asyncDispose]: () => runtime.dispose()
  }
}

/** What an activity's message says, as far as tests look at it. */
export interface ToldActivity {
  readonly spec: {
    readonly summary: string
    readonly resource: { readonly name: string; readonly kind: string }
    readonly origin: { readonly id: string }
  }
}

const decoder = new TextDecoder()

// Our own message: canonical JSON of an Activity.
export const toldActivity = (message: StoredMessage): ToldActivity => JSON.parse(decoder.decode(message.body))
