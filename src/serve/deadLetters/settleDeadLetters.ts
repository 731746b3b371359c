/**
 * `deadletters/NAME/redrive` and `/discard`: letters of one group, or, with `all` for its name, of every group that the
 * selectors choose.
 */
import { Effect } from "effect"
import { deadLetterDiscard, deadLetterRedrive } from "../../contracts/deadLetterSchema.ts"
import { canBeTried } from "../../domain/deadLetter.ts"
import { DeadLetterGroups, type LetterGroup } from "../../store/DeadLetterGroups.ts"
import { type ApiFailure, badRequest, invalid, notFound } from "../ApiFailure.ts"
import { type Answer, type Call, value } from "../http/Call.ts"
import { apiVersionOf, type ResourceRequest } from "../http/RequestInfo.ts"
import { isDryRun } from "../objects/dryRun.ts"
import { type CheckedBody, objectBody } from "../objects/objectBody.ts"
import { busFailureFrom } from "./busFailure.ts"
import { deadLetterSelector } from "./deadLetterSelectors.ts"
import { deadLetterKind } from "./servedDeadLetter.ts"

/** No group has this name: those end in ten hex digits. */
const everyGroup = "all"

/** Of one request: some seconds. */
const settledMax = 5_000

/** Characters; it is kept in the audit record and in the log. */
const reasonLengthMax = 1_024

interface SettleSpec {
  readonly sequences?: ReadonlyArray<number>
  readonly reason?: string
}

const nothing: CheckedBody = { object: {}, warnings: [] }

export const settleDeadLetters = Effect.fn("serve.settleDeadLetters")(function* (call: Call, request: ResourceRequest) {
  const isRedrive = request.subresource === "redrive"
  const body = isRedrive ? deadLetterRedrive : deadLetterDiscard
  const isTrial = yield* isDryRun(call.query.getAll("dryRun"))
  // curl -X POST is enough to try all of a group again.
  const isEmpty = (yield* call.body).length === 0
  const { object, warnings } = isEmpty ? nothing : yield* objectBody(call, request, body)
  // A misspelt sequences would mean all letters, and they do not come back.
  if (!isRedrive && warnings[0] !== undefined) return yield* badRequest(`nothing was discarded: ${warnings.join(", ")}`)
  // The schema says its shape.
  const spec = (object["spec"] ?? {}) as SettleSpec
  const why = (spec.reason ?? "").trim()
  if (!isRedrive && (why === "" || why.length > reasonLengthMax)) return yield* reasonRefused(request.name, why)
  const letters = yield* DeadLetterGroups
  const groups = yield* chosenGroups(call, request)
  // An empty list is none of them: whoever made it by a program did not mean all.
  const named = spec.sequences === undefined ? undefined : new Set(spec.sequences)
  const chosen = groups.flatMap((group) =>
    group.letters
      .filter(({ sequence }) => named?.has(sequence) ?? true)
      .map(({ sequence }) => ({ sequence, program: group.program }))
  )
  const possible = isRedrive ? chosen.filter(canBeTried) : chosen
  const now = possible.slice(0, settledMax).map(({ sequence }) => sequence)
  const settled = isTrial
    ? { done: now.length, gone: 0 }
    : yield* (isRedrive ? letters.redrive(now) : letters.discard(now)).pipe(Effect.mapError(busFailureFrom))
  // Behind kube-apiserver its record is the one, and has no body of what it passes on.
  if (!isRedrive && !isTrial) {
    yield* Effect.logInfo("dead letters are discarded", {
      user: call.user.name,
      name: request.name,
      letters: settled.done,
      reason: why
    })
  }
  return value(
    {
      ...object,
      apiVersion: apiVersionOf(request),
      kind: body.kind,
      status: {
        chosen: chosen.length,
        ...settled,
        // Named, and in none of the groups: they went before it was asked.
        gone: settled.gone + Math.max(0, (named?.size ?? 0) - chosen.length),
        skipped: chosen.length - possible.length,
        remaining: possible.length - now.length
      }
    },
    201,
    warnings
  ) satisfies Answer
})

const chosenGroups = (
  call: Call,
  request: ResourceRequest
): Effect.Effect<ReadonlyArray<LetterGroup>, ApiFailure, DeadLetterGroups> =>
  Effect.gen(function* () {
    const selected = yield* Effect.fromResult(deadLetterSelector(call.query))
    const isSelective = ["labelSelector", "fieldSelector"].some((name) => (call.query.get(name) ?? "") !== "")
    const { groups } = yield* (yield* DeadLetterGroups).current.pipe(Effect.mapError(busFailureFrom))
    if (request.name === everyGroup) {
      if (!isSelective) {
        return yield* badRequest(
          "deadletters/all needs a labelSelector or a fieldSelector, such as ?fieldSelector=spec.policy.name=NAME"
        )
      }
      return [...groups.values()].filter(selected)
    }
    if (isSelective)
      return yield* badRequest("selectors choose among all groups: use deadletters/all, or leave them out")
    const group = groups.get(request.name)
    return group === undefined ? yield* notFound(deadLetterKind, request.name) : [group]
  })

const reasonRefused = (name: string, why: string): ApiFailure =>
  invalid(deadLetterKind, name, [
    why === ""
      ? { field: "spec.reason", reason: "FieldValueRequired", message: "Required value: say why they are not needed" }
      : {
          field: "spec.reason",
          reason: "FieldValueTooLong",
          message: `Too long: may not be more than ${reasonLengthMax} characters`
        }
  ])
