/** A message of ACTIVITIES, as watches see it. */
import type { StoredMessage } from "../../clients/nats/Nats.ts"
import type { Activity } from "../../domain/Activity.ts"
import { type Json, objectAt } from "../../domain/AuditRecord.ts"

const decoder = new TextDecoder()

/** `Nats-Msg-Id` is the activity's version: its key, then a hash. */
const keyLength = 36

export const activityKeyOf = (stored: StoredMessage): string => stored.header("Nats-Msg-Id").slice(0, keyLength)

/** What every watch looks at: a message without one of them must not end them all. */
const fieldsLookedAt = ["tenant", "actor", "resource"] as const

export const activityFrom = ({ body }: StoredMessage): Activity | undefined => {
  try {
    const parsed: Json = JSON.parse(decoder.decode(body))
    const spec = objectAt(parsed, "spec")
    if (objectAt(parsed, "metadata") === undefined) return undefined
    if (fieldsLookedAt.some((field) => objectAt(spec, field) === undefined)) return undefined
    // Our own message: the processor wrote an Activity, or it is nothing that a watch could show.
    return parsed as unknown as Activity
  } catch {
    return undefined
  }
}
