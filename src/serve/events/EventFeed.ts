/** The shared tail of MILO_EVENTS, which feeds every watch of Events. */
import { Context, Effect, Layer } from "effect"
import { miloEvents } from "../../domain/streams.ts"
import { isWrittenEventSubject } from "../../domain/subject.ts"
import { type FactFeed, makeFeed } from "../facts/FactFeed.ts"
import { eventKeyOf, type SeenEvent, seenEventFrom } from "./SeenEvent.ts"

export class EventFeed extends Context.Service<EventFeed, FactFeed<SeenEvent>>()("activity/serve/events/EventFeed") {
  static readonly layer = Layer.effect(
    EventFeed,
    Effect.suspend(() =>
      makeFeed({
        stream: miloEvents.name,
        keyOf: eventKeyOf,
        factFrom: seenEventFrom,
        isWritten: ({ subject }) => isWrittenEventSubject(subject)
      })
    )
  )
}
