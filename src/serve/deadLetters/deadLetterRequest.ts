/** The verbs of `deadletters`. They are of all tenants, as the cluster's configuration is: roles alone decide. */
import { Clock, Effect, Option } from "effect"
import { headerNames } from "../../domain/streams.ts"
import { DeadLetterGroups } from "../../store/DeadLetterGroups.ts"
import { type ApiFailure, notFound } from "../ApiFailure.ts"
import type { Drain } from "../Drain.ts"
import { type Answer, type Call, value } from "../http/Call.ts"
import { apiVersionOf, type ResourceRequest } from "../http/RequestInfo.ts"
import { resourceVersionFrom, resourceVersionTooLarge, versionMatchFault } from "../listParameters.ts"
import type { Printer } from "../Table.ts"
import { busFailureFrom } from "./busFailure.ts"
import { deadLetterPrinter } from "./deadLetterPrinter.ts"
import { deadLetterSelector } from "./deadLetterSelectors.ts"
import { deadLetterKind, type ServedDeadLetter, servedDeadLetter } from "./servedDeadLetter.ts"
import { settleDeadLetters } from "./settleDeadLetters.ts"
import { watchDeadLetters } from "./watchDeadLetters.ts"

export const deadLetterRequest = (
  call: Call,
  request: ResourceRequest
): Effect.Effect<Answer, ApiFailure, DeadLetterGroups | Drain> => {
  switch (request.verb) {
    case "create":
      return settleDeadLetters(call, request)
    case "watch":
      return watchDeadLetters(call, request)
    case "get":
      return getDeadLetter(call, request)
    default:
      return listDeadLetters(call, request)
  }
}

const listDeadLetters = (call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    const selected = yield* Effect.fromResult(deadLetterSelector(call.query))
    const asked = yield* Effect.fromResult(resourceVersionFrom(call.query))
    const mismatch = versionMatchFault(call.query)
    if (mismatch !== undefined) return yield* mismatch
    const { groups, version } = yield* (yield* DeadLetterGroups).current.pipe(Effect.mapError(busFailureFrom))
    if (asked !== undefined && asked > version) return yield* resourceVersionTooLarge(asked, version)
    const printer = yield* printerOf(call, request)
    const shown = [...groups.values()]
      .filter(selected)
      .toSorted((one, other) => other.letters.length - one.letters.length)
    return value(
      printer.list(
        shown.map((group) => servedDeadLetter(group, apiVersionOf(request))),
        { resourceVersion: String(version) }
      )
    )
  })

/** Of which the body is shown, in characters; records are up to 8 Mi. */
const bodyLengthMax = 16 * 1024

const getDeadLetter = (call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    const letters = yield* DeadLetterGroups
    const { groups } = yield* letters.current.pipe(Effect.mapError(busFailureFrom))
    const group = groups.get(request.name)
    if (group === undefined) return yield* notFound(deadLetterKind, request.name)
    const served = servedDeadLetter(group, apiVersionOf(request))
    const newest = yield* Effect.forEach(served.status.newest, (letter) =>
      letters.letterAt(letter.sequence).pipe(
        Effect.mapError(busFailureFrom),
        Effect.map(
          Option.match({
            // It went since; its group will be told without it.
            onNone: () => letter,
            onSome: (stored) => ({
              ...letter,
              cluster: stored.header(headerNames.cluster),
              body: decoder.decode(stored.body.subarray(0, bodyLengthMax))
            })
          })
        )
      )
    )
    const printer = yield* printerOf(call, request)
    return value(printer.one({ ...served, status: { ...served.status, newest } }))
  })

const decoder = new TextDecoder()

const printerOf = (call: Call, request: ResourceRequest): Effect.Effect<Printer<ServedDeadLetter>> =>
  Effect.map(Clock.Clock, (clock) => deadLetterPrinter(call, request, () => clock.currentTimeMillisUnsafe()))
