/** What the store says, as the API says it. */
import type { PolicyStoreError } from "../../store/PolicyStore.ts"
import { alreadyExists, type ApiFailure, conflict, expired, notFound, unavailable } from "../ApiFailure.ts"
import { policyKind } from "./policyBody.ts"

/** The end of a conflict's text that is nobody's fault: whoever changes without having read starts again. */
export const raced = "another write came between"

export const storeAway = (): ApiFailure => unavailable("the store of policies does not answer: try again")

export interface KindNames {
  readonly group: string
  readonly plural: string
  readonly kind: string
}

export const failureFrom = (error: PolicyStoreError): ApiFailure => failureOf(policyKind)(error)

/** The same of objects of another kind. */
export const failureOf =
  (of: KindNames) =>
  (error: PolicyStoreError): ApiFailure => {
    const { reason } = error
    switch (reason._tag) {
      case "PolicyMissing":
        return notFound(of, reason.name)
      case "PolicyExists":
        return alreadyExists(of, reason.name)
      case "PolicyChanged":
        return conflict(of, reason.name, raced)
      case "PolicyVersionExpired":
        return expired(`too old resource version: ${reason.resourceVersion} (${reason.oldest})`)
      case "PolicyPageExpired":
        return expired("The provided continue parameter is too old: start the list again without it")
      case "PolicyVersionAhead":
        return versionAhead(reason.resourceVersion, reason.newest)
      case "PolicyStoreUnavailable":
        return of === policyKind ? storeAway() : unavailable(`the store of ${of.plural} does not answer: try again`)
    }
  }

export const versionAhead = (asked: number, newest: number): ApiFailure =>
  expired(`resource version ${asked} is beyond the current one (${newest}): list again`)
