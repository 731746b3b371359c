/** The shared tail of ACTIVITIES, which feeds every watch of activities. */
import { Context, Effect, Layer } from "effect"
import type { Activity } from "../../domain/Activity.ts"
import { activities } from "../../domain/streams.ts"
import { type FactFeed, makeFeed } from "../facts/FactFeed.ts"
import { activityFrom, activityKeyOf } from "./activityMessage.ts"

export class ActivityFeed extends Context.Service<ActivityFeed, FactFeed<Activity>>()(
  "activity/serve/activities/ActivityFeed"
) {
  static readonly layer = Layer.effect(
    ActivityFeed,
    Effect.suspend(() => makeFeed({ stream: activities.name, keyOf: activityKeyOf, factFrom: activityFrom }))
  )
}
