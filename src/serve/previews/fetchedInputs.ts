/** autoFetch: what was stored is tried, the newest of the policy's kind. */
import { Effect, Result } from "effect"
import type { Preview, Previewed } from "../../process/Preview.ts"
import { takingTurns } from "../../runtime/takingTurns.ts"
import { FactQueries } from "../../store/FactQueries.ts"
import type { SourceFact } from "../../store/sourceFacts.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import { type PreviewInput, sentenceFrom } from "./previewInput.ts"
import type { PreviewedInput } from "./previewResult.ts"
import type { SourceKind, Trial } from "./previewSpec.ts"
import { type Asked, sourceWindow, storedEvent, storedRecord } from "./storedFacts.ts"

/** Of each source, looked at for those that a rule matches. */
const lookedAtMax = 1_000

interface Fetched extends PreviewedInput {
  readonly input: PreviewInput
}

export const fetchedInputs = (asked: Asked, preview: Preview, trial: Extract<Trial, { readonly _tag: "AutoFetch" }>) =>
  Effect.gen(function* () {
    const found = yield* Effect.forEach(trial.sources, (kind) => fetch(asked, preview, trial, kind))
    const fetched = [true, false].flatMap((told) =>
      alternately(found.map((some) => some.filter((one) => isTold(one) === told)))
    )
    const previewed = fetched.slice(0, trial.limit)
    return { inputs: previewed.map(({ input }) => input), previewed }
  })

const fetch = (
  asked: Asked,
  preview: Preview,
  trial: Extract<Trial, { readonly _tag: "AutoFetch" }>,
  kind: SourceKind
) =>
  Effect.gen(function* () {
    // What a rule does not match is of use to its author too: any verb.
    const of = { apiGroup: preview.apiGroup, objectKind: preview.kind, verbs: undefined }
    const window = yield* sourceWindow(asked, kind, of, trial.window)
    const queries = yield* FactQueries
    const { facts } = yield* queries.sourceSlices(window).pipe(
      Effect.flatMap((slices) => queries.sourcePage(window, { slices, limit: lookedAtMax })),
      Effect.mapError(storeFailureFrom)
    )
    const fetched = yield* takingTurns(facts, (fact) => fetchedFrom(fact, preview, kind))
    return fetched.filter(isOfKind)
  })

const fetchedFrom = (fact: SourceFact, preview: Preview, kind: SourceKind): Fetched => {
  // A stored fact was read once already.
  const body = JSON.parse(fact.json)
  const previewed: Result.Result<Previewed, string> = Result.mapError(
    kind === "record"
      ? Result.map(storedRecord(fact), preview.ofAudit)
      : Result.map(storedEvent(fact), preview.ofEvent),
    sentenceFrom
  )
  return kind === "record"
    ? { type: "audit", input: { type: "audit", audit: body }, previewed }
    : { type: "event", input: { type: "event", event: body }, previewed }
}

/** The store knows the API group of a record's object; its kind, the evaluation tells. */
const isOfKind = ({ previewed }: Fetched): boolean =>
  Result.isSuccess(previewed) &&
  !(previewed.success.evaluation._tag === "NotMatched" && previewed.success.evaluation.reason === "no_matching_policy")

const isTold = ({ previewed }: Fetched): boolean =>
  Result.isSuccess(previewed) && previewed.success.evaluation._tag !== "NotMatched"

/** The first of each, the second of each, and so on. */
const alternately = <A>(lists: ReadonlyArray<ReadonlyArray<A>>): ReadonlyArray<A> =>
  Array.from({ length: Math.max(0, ...lists.map((list) => list.length)) }, (_, index) =>
    lists.flatMap((list) => list.slice(index, index + 1))
  ).flat()
