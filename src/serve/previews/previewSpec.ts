/** What a PolicyPreview asks for, checked. */
import { Result } from "effect"
import { type BacktestOutcome, backtestOutcomes } from "../../contracts/previewSchema.ts"
import { groupName, versions } from "../../contracts/resources.ts"
import type { ActivityPolicy, ActivityPolicySpec } from "../../domain/ActivityPolicy.ts"
import type { FieldFault } from "../ApiFailure.ts"
import { contentFaults } from "../kept/admission.ts"
import { policyKind } from "../policies/policyKind.ts"
import { type QueryWindow, queryWindow } from "../queries/queryWindow.ts"
import { allParts } from "../queries/question.ts"
import type { PreviewInput } from "./previewInput.ts"

/** As the body says it. */
export interface PreviewSpec {
  readonly policy: ActivityPolicySpec
  readonly policyName: string
  readonly kindLabel: string
  readonly kindLabelPlural: string
  readonly namespace: string
  readonly inputs: ReadonlyArray<PreviewInput>
  readonly autoFetch: { readonly limit?: number; readonly timeRange?: string; readonly sources?: string }
  readonly backtest: {
    readonly timeRange?: { readonly start?: string; readonly end?: string }
    readonly sources?: string
    readonly outcomes?: ReadonlyArray<string>
    readonly limit?: number
    readonly continue?: string
  }
}

/** In the order in which they are read. */
export type SourceKind = "record" | "event"

export type Trial =
  | { readonly _tag: "Inputs"; readonly inputs: ReadonlyArray<PreviewInput> }
  | {
      readonly _tag: "AutoFetch"
      readonly window: QueryWindow
      readonly limit: number
      readonly sources: ReadonlyArray<SourceKind>
    }
  | {
      readonly _tag: "Backtest"
      readonly window: QueryWindow
      readonly limit: number
      readonly sources: ReadonlyArray<SourceKind>
      readonly outcomes: ReadonlySet<BacktestOutcome>
      /** "" for the first. */
      readonly continue: string
    }

export interface CheckedPreview {
  readonly policy: ActivityPolicy
  readonly trial: Trial
}

/** The dearest take 30 ms each: 15 s, in turns. */
const inputsMax = 500

const fetchedDefault = 10
const fetchedMax = 50

const listedDefault = 50
const listedMax = 500

/** As far back as Events are kept. */
const daysMax = 60

/** @param now microseconds since 1970, which every time of the request counts from */
export const checkedPreview = (
  spec: Partial<PreviewSpec>,
  now: bigint
): Result.Result<CheckedPreview, ReadonlyArray<FieldFault>> => {
  const policy = policyFrom(spec)
  const trial = trialFrom(spec, now)
  const faults = [...policyFaults(spec, policy), ...(Result.isFailure(trial) ? trial.failure : [])]
  return faults.length > 0 || Result.isFailure(trial)
    ? Result.fail(faults)
    : Result.succeed({ policy, trial: trial.success })
}

/** A policy whose name says nothing. */
const nameOtherwise = "preview"

const policyFrom = ({ kindLabel, kindLabelPlural, policy, policyName = "" }: Partial<PreviewSpec>): ActivityPolicy => ({
  apiVersion: `${groupName}/${versions[0]}`,
  kind: "ActivityPolicy",
  metadata: { name: policyName === "" ? nameOtherwise : policyName },
  spec: {
    ...(policy ?? { resource: { apiGroup: "", kind: "" } }),
    ...(kindLabel === undefined || kindLabel === "" ? {} : { kindLabel }),
    ...(kindLabelPlural === undefined || kindLabelPlural === "" ? {} : { kindLabelPlural })
  }
})

/** As when it is written, one level down. */
const policyFaults = (spec: Partial<PreviewSpec>, policy: ActivityPolicy): ReadonlyArray<FieldFault> =>
  spec.policy === undefined
    ? [required("spec.policy")]
    : contentFaults(policyKind, policy).map((fault) => ({
        ...fault,
        field: `spec.policy${fault.field.replace(/^spec/, "")}`
      }))

const trialFrom = (
  { autoFetch, backtest, inputs = [], policyName = "" }: Partial<PreviewSpec>,
  now: bigint
): Result.Result<Trial, ReadonlyArray<FieldFault>> => {
  const given = [
    ...(inputs.length === 0 ? [] : ["spec.inputs"]),
    ...(autoFetch === undefined ? [] : ["spec.autoFetch"]),
    ...(backtest === undefined ? [] : ["spec.backtest"])
  ]
  if (given.length > 1) {
    return Result.fail(
      given.slice(1).map((field) => ({
        field,
        reason: "FieldValueForbidden",
        message: `Forbidden: there is ${given[0]} already: a policy is tried on one of inputs, autoFetch, backtest`
      }))
    )
  }
  if (autoFetch !== undefined) return autoFetchFrom(autoFetch, now)
  return backtest === undefined ? inputsFrom(inputs) : backtestFrom(backtest, policyName, now)
}

const inputsFrom = (inputs: ReadonlyArray<PreviewInput>): Result.Result<Trial, ReadonlyArray<FieldFault>> => {
  if (inputs.length > inputsMax) {
    const message = `Too many: ${inputs.length}: must have at most ${inputsMax} items`
    return Result.fail([{ field: "spec.inputs", reason: "FieldValueTooMany", message }])
  }
  const faults = inputs.flatMap((input, index): ReadonlyArray<FieldFault> => {
    const path = `spec.inputs[${index}]`
    const { type = "" } = input
    if (type !== "audit" && type !== "event") {
      return [type === "" ? required(`${path}.type`) : unsupported(`${path}.type`, type, ["audit", "event"])]
    }
    return input[type] === undefined ? [required(`${path}.${type}`)] : []
  })
  return faults.length > 0 ? Result.fail(faults) : Result.succeed({ _tag: "Inputs", inputs })
}

const autoFetchFrom = (
  { limit = 0, sources = "", timeRange = "" }: PreviewSpec["autoFetch"],
  now: bigint
): Result.Result<Trial, ReadonlyArray<FieldFault>> => {
  const text = timeRange === "" ? "24h" : timeRange
  const field = "spec.autoFetch.timeRange"
  const window = queryWindow(
    // As existing clients write it, or as times are written everywhere.
    { field, text: /^\d/.test(text) ? `now-${text}` : text },
    { field, text: "now" },
    now,
    { daysMax }
  )
  const kinds = sourcesFrom(sources, "spec.autoFetch.sources")
  const limits = limitFrom(limit, "spec.autoFetch.limit", fetchedDefault, fetchedMax)
  return Result.map(allParts({ window, sources: kinds, limit: limits }), (parts): Trial => ({
    _tag: "AutoFetch",
    ...parts
  }))
}

const backtestFrom = (
  { continue: token = "", limit = 0, outcomes = [], sources = "", timeRange = {} }: PreviewSpec["backtest"],
  policyName: string,
  now: bigint
): Result.Result<Trial, ReadonlyArray<FieldFault>> => {
  const unknown = outcomes.filter((outcome) => !isOutcome(outcome))
  return Result.map(
    allParts({
      name: policyName === "" ? Result.fail([required("spec.policyName")]) : Result.succeed(policyName),
      window: queryWindow(
        { field: "spec.backtest.timeRange.start", text: timeRange.start ?? "" },
        { field: "spec.backtest.timeRange.end", text: timeRange.end ?? "" },
        now,
        { daysMax, daysOtherwise: 1 }
      ),
      sources: sourcesFrom(sources, "spec.backtest.sources"),
      limit: limitFrom(limit, "spec.backtest.limit", listedDefault, listedMax),
      outcomes:
        unknown.length > 0
          ? Result.fail(unknown.map((outcome) => unsupported("spec.backtest.outcomes", outcome, backtestOutcomes)))
          : Result.succeed(new Set(outcomes.length === 0 ? outcomesDefault : outcomes.filter(isOutcome)))
    }),
    ({ name: _, ...parts }): Trial => ({ _tag: "Backtest", continue: token, ...parts })
  )
}

/** What a policy's author looks for. */
const outcomesDefault: ReadonlyArray<BacktestOutcome> = ["changed", "new", "lost", "error"]

const isOutcome = (text: string): text is BacktestOutcome => backtestOutcomes.some((outcome) => outcome === text)

const sourcesFrom = (
  text: string,
  field: string
): Result.Result<ReadonlyArray<SourceKind>, ReadonlyArray<FieldFault>> => {
  switch (text) {
    case "audit":
      return Result.succeed(["record"])
    case "events":
      return Result.succeed(["event"])
    case "both":
    case "":
      return Result.succeed(["record", "event"])
    default:
      return Result.fail([unsupported(field, text, ["audit", "events", "both"])])
  }
}

const limitFrom = (
  limit: number,
  field: string,
  otherwise: number,
  max: number
): Result.Result<number, ReadonlyArray<FieldFault>> =>
  limit >= 0 && limit <= max
    ? Result.succeed(limit === 0 ? otherwise : limit)
    : Result.fail([
        { field, reason: "FieldValueInvalid", message: `Invalid value: ${limit}: must be from 0 to ${max}` }
      ])

const required = (field: string): FieldFault => ({ field, reason: "FieldValueRequired", message: "Required value" })

const unsupported = (field: string, value: string, known: ReadonlyArray<string>): FieldFault => ({
  field,
  reason: "FieldValueNotSupported",
  message: `Unsupported value: ${JSON.stringify(value.slice(0, 100))}: supported values: ${known.map((one) => JSON.stringify(one)).join(", ")}`
})
