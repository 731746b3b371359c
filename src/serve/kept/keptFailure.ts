/** What the store says, as the API says it. */
import { Effect, Schedule } from "effect"
import type { KeptObjectsError } from "../../store/KeptObjects.ts"
import { alreadyExists, type ApiFailure, conflict, expired, failure, notFound, unavailable } from "../ApiFailure.ts"
import type { KindNames } from "./KeptKind.ts"

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

export const storeAway = ({ plural }: KindNames): ApiFailure =>
  unavailable(`the store of ${plural} does not answer: try again`)

export const failureOf =
  (of: KindNames) =>
  (error: KeptObjectsError): ApiFailure => {
    const { reason } = error
    switch (reason._tag) {
      case "ObjectMissing":
        return notFound(of, reason.name)
      case "ObjectExists":
        return alreadyExists(of, reason.name)
      case "ObjectChanged":
        return racedConflict(of, reason.name)
      case "ObjectVersionExpired":
        return expired(`too old resource version: ${reason.resourceVersion} (${reason.oldest})`)
      case "ObjectPageExpired":
        return expired("The provided continue parameter is too old: start the list again without it")
      case "ObjectVersionAhead":
        return versionAhead(reason.resourceVersion, reason.newest)
      case "KeptObjectsFull":
        return failure(
          "Forbidden",
          `there is no room for another of ${of.plural}: those that are kept have ${reason.sizeBytes} bytes; delete some`
        )
      case "KeptObjectsUnavailable":
        return storeAway(of)
    }
  }

export const versionAhead = (asked: number, newest: number): ApiFailure =>
  expired(`resource version ${asked} is beyond the current one (${newest}): list again`)
