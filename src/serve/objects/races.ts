/** Writes of one object that come between one another: who said which version it changes is told, who did not starts again. */
import { Effect, Schedule } from "effect"
import type { KeptObject } from "../../domain/KeptObject.ts"
import { type ApiFailure, badRequest, conflict, type KindNames } from "../ApiFailure.ts"

const raced = "another write came between"
const attemptsMax = 5

/** A conflict that is nobody's fault: the write did not say which version it changes, and another was faster. */
export const racedConflict = (of: KindNames, name: string): ApiFailure => conflict(of, name, raced)

/** Starts a write again from its beginning while others come between; the last of five attempts tells the conflict. */
export const againWhenRaced = <A, R>(attempt: Effect.Effect<A, ApiFailure, R>): Effect.Effect<A, ApiFailure, R> =>
  attempt.pipe(
    Effect.retry({
      times: attemptsMax - 1,
      schedule: Schedule.spaced("10 millis"),
      while: ({ reason, text }) => reason === "Conflict" && text.endsWith(raced)
    })
  )

const modified = "the object has been modified; please apply your changes to the latest version and try again"

/** What the client says that it changes is what is stored. */
export const sameObject = (
  names: KindNames,
  sent: Pick<KeptObject, "metadata">,
  stored: Pick<KeptObject, "metadata">
): Effect.Effect<void, ApiFailure> => {
  const { name, resourceVersion = "", uid = "" } = sent.metadata
  if (name !== stored.metadata.name) {
    return Effect.fail(
      badRequest(`the name of the object (${name}) does not match the name on the URL (${stored.metadata.name})`)
    )
  }
  if (uid !== "" && uid !== stored.metadata.uid) {
    return Effect.fail(
      conflict(
        names,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${stored.metadata.uid ?? ""}`
      )
    )
  }
  return resourceVersion !== "" && resourceVersion !== stored.metadata.resourceVersion
    ? Effect.fail(conflict(names, name, modified))
    : Effect.void
}
