/** What became of each input, in the shape that clients read. */
import { Result } from "effect"
import type { Activity } from "../../domain/Activity.ts"
import { type Evaluation, type Failed, type Previewed, ruleOf, sentences } from "../../process/Preview.ts"

/** Whatever version is asked for: both serve the same objects. */
export const activityIn = (apiVersion: string, activity: Activity) => ({ ...activity, apiVersion })

/** The rule and the place, then what went wrong. */
export const failureText = ({ cause, position, rule }: Failed): string =>
  `rule ${rule}: ${position.expression}, line ${position.line}, column ${position.column}: ${cause}`

export interface PreviewedInput {
  readonly type: "audit" | "event"
  /** The failure is a sentence: it could not be read. */
  readonly previewed: Result.Result<Previewed, string>
}

export const previewResults = (inputs: ReadonlyArray<PreviewedInput>, apiVersion: string) => ({
  activities: inputs.flatMap(({ previewed }) => {
    const evaluation = Result.isSuccess(previewed) ? previewed.success.evaluation : undefined
    return evaluation?._tag === "Matched" ? [activityIn(apiVersion, evaluation.activity)] : []
  }),
  results: inputs.map(({ previewed, type }, inputIndex) =>
    Result.match(previewed, {
      onFailure: (error) => ({ inputIndex, matched: false, matchedRuleIndex: -1, error }),
      onSuccess: ({ evaluation, rules }) => ({
        inputIndex,
        ...outcomeOf(evaluation, rules, type),
        rules: rules.map(({ position, ...rule }) => ({ ...rule, ...position }))
      })
    })
  )
})

const outcomeOf = (evaluation: Evaluation, rules: Previewed["rules"], type: PreviewedInput["type"]) => {
  const none = { matched: false, matchedRuleIndex: -1 }
  switch (evaluation._tag) {
    case "Matched": {
      const matchedRuleName = ruleOf(evaluation)
      return {
        matched: true,
        matchedRuleIndex: rules.findIndex(({ name }) => name === matchedRuleName),
        matchedRuleType: type,
        matchedRuleName
      }
    }
    case "Failed":
      return { ...none, error: failureText(evaluation) }
    case "NotMatched":
      return { ...none, reason: sentences[evaluation.reason] }
  }
}
