/** Selectors over policies and ReindexJobs: their names and their labels. */
import type { Result } from "effect"
import type { KeptObject } from "../../store/PolicyStore.ts"
import { objectSelector } from "../Selector.ts"

/** The failure is a sentence for a 400. */
export const policySelector = <A extends KeptObject>(
  query: URLSearchParams
): Result.Result<(object: A) => boolean, string> =>
  objectSelector<A>(
    query,
    { "metadata.name": ({ metadata }) => metadata.name, "metadata.namespace": () => "" },
    ({ metadata }) => metadata.labels ?? {}
  )
