/** Selectors over groups of dead letters. */
import { Result } from "effect"
import type { LetterGroup } from "../../store/DeadLetterGroups.ts"
import { type ApiFailure, badRequest } from "../ApiFailure.ts"
import { objectSelector } from "../Selector.ts"
import { deadLetterLabels } from "./servedDeadLetter.ts"

const fields: Readonly<Record<string, (group: LetterGroup) => string>> = {
  "metadata.name": ({ name }) => name,
  "metadata.namespace": () => "",
  "spec.stream": ({ stream }) => stream,
  "spec.program": ({ program }) => program,
  "spec.reason": ({ reason }) => reason,
  "spec.policy.name": ({ policy }) => policy,
  "spec.policy.rule": ({ rule }) => rule
}

/** @fails ApiFailure BadRequest */
export const deadLetterSelector = (
  query: URLSearchParams
): Result.Result<(group: LetterGroup) => boolean, ApiFailure> =>
  Result.mapError(objectSelector(query, fields, deadLetterLabels), badRequest)
