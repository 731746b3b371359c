/** Selectors over policies: their names and their labels. */
import type { Result } from "effect"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { objectSelector } from "../Selector.ts"

/** The failure is a sentence for a 400. */
export const policySelector = (query: URLSearchParams): Result.Result<(policy: ActivityPolicy) => boolean, string> =>
  objectSelector(
    query,
    { "metadata.name": ({ metadata }) => metadata.name, "metadata.namespace": () => "" },
    ({ metadata }) => metadata.labels ?? {}
  )
