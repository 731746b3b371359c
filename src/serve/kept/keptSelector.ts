/** Selectors over what is kept: names and labels. */
import type { Result } from "effect"
import type { KeptObject } from "../../domain/KeptObject.ts"
import { objectSelector } from "../Selector.ts"

/** The failure is a sentence for a 400. */
export const keptSelector = <A extends KeptObject>(
  query: URLSearchParams
): Result.Result<(object: A) => boolean, string> =>
  objectSelector<A>(
    query,
    { "metadata.name": ({ metadata }) => metadata.name, "metadata.namespace": () => "" },
    ({ metadata }) => metadata.labels ?? {}
  )
