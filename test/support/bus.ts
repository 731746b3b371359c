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

export const connectBus = (url: string): Bus => {
  const runtime = ManagedRuntime.make(natsLayer({ servers: [url], name: "test" }))
  const state = (stream: string) => runtime.runPromise(Nats.use((nats) => nats.streamState(stream)))
  return {
    state,
    messages: async (stream) => {
      const { firstSequence, lastSequence, messages } = await state(stream)
      if (messages === 0) return []
      return runtime.runPromise(
        Nats.use((nats) =>
          nats.tail({ stream, from: firstSequence }).pipe(
            Stream.takeUntil((message) => message.sequence >= lastSequence),
            Stream.runCollect,
            Effect.map((all) => [...all])
          )
        )
      )
    },
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
