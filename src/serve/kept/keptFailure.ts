/** What the store says, as the API says it. */
import type { KeptObjectsError } from "../../store/KeptObjects.ts"
import {
  alreadyExists,
  type ApiFailure,
  expired,
  failure,
  type KindNames,
  notFound,
  unavailable
} from "../ApiFailure.ts"
import { racedConflict } from "../objects/races.ts"

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
      case "ObjectRefused":
        return failure("InternalError", reason.sentence)
      case "KeptObjectsUnavailable":
        return storeAway(of)
    }
  }

export const versionAhead = (asked: number, newest: number): ApiFailure =>
  expired(`resource version ${asked} is beyond the current one (${newest}): list again`)
