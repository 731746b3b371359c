/** Answers `policypreviews`: what a policy would make of records and Events. */
import { Clock, Effect, Result } from "effect"
import { policyPreviewsResource } from "../../contracts/resources.ts"
import { KindDiscovery } from "../../process/PolicyCache.ts"
import { previewOf } from "../../process/Preview.ts"
import { takingTurns } from "../../runtime/takingTurns.ts"
import { type ApiFailure, failure } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import type { QueryOptions } from "../queries/askedQuery.ts"
import { answerTo, questionFrom } from "../queries/question.ts"
import { backtestAnswer } from "./backtest.ts"
import { fetchedInputs } from "./fetchedInputs.ts"
import { previewedInput } from "./previewInput.ts"
import { type PreviewedInput, previewResults } from "./previewResult.ts"
import { checkedPreview, type PreviewSpec } from "./previewSpec.ts"

export const createPreview = Effect.fn("serve.createPreview")(function* (
  call: Call,
  request: ResourceRequest,
  options: QueryOptions
) {
  const question = yield* questionFrom<PreviewSpec>(call, request, policyPreviewsResource)
  const now = BigInt(yield* Clock.currentTimeMillis) * 1_000n
  const { policy, trial } = yield* Effect.fromResult(
    Result.mapError(checkedPreview(question.spec, now), question.refusal)
  )
  const discovery = yield* KindDiscovery
  const preview = yield* Effect.fromResult(Result.mapError(previewOf(policy, discovery), notAdmitted))
  const labels = { kindLabel: preview.label.label, kindLabelPlural: preview.label.plural }
  const asked = { call, request, options, namespace: question.spec.namespace ?? "", now }
  switch (trial._tag) {
    case "Inputs": {
      const origin = { cluster: options.cluster, tenant: options.defaultTenant, now }
      const previewed = yield* takingTurns(trial.inputs, (input, index): PreviewedInput => ({
        type: input.type === "event" ? "event" : "audit",
        previewed: previewedInput(input, index, preview, origin)
      }))
      return answerTo(call, question, { ...previewResults(previewed, question.apiVersion), ...labels })
    }
    case "AutoFetch": {
      const { inputs, previewed } = yield* fetchedInputs(asked, preview, trial)
      return answerTo(call, question, {
        ...previewResults(previewed, question.apiVersion),
        fetchedInputs: inputs,
        ...labels
      })
    }
    case "Backtest":
      return answerTo(call, question, {
        backtest: yield* backtestAnswer({ asked, policy, trial, question }),
        ...labels
      })
  }
})

/** It was admitted a moment ago. */
const notAdmitted = (): ApiFailure => failure("InternalError", "the policy was admitted, and does not compile")
