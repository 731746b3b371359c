/**
 * What a policy would change: everything of its kind that a time holds is evaluated twice, by the policies as they are
 * and by the policies with the candidate among them.
 *
 * Memory holds three pages of the store at most. It ends when its caller goes away.
 */
import { Effect, Option, Result, Stream } from "effect"
import { type BacktestOutcome, backtestOutcomes } from "../../contracts/previewSchema.ts"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { timestampText } from "../../domain/instant.ts"
import { type Discovery, KindDiscovery } from "../../process/PolicyCache.ts"
import { type Evaluation, type PolicySet, policySetOf, verbsOf } from "../../process/Preview.ts"
import type { Position } from "../../store/ActivityQueries.ts"
import { type CursorBinding, cursorFrom, cursorText } from "../../store/cursor.ts"
import { FactQueries } from "../../store/FactQueries.ts"
import { PolicyStore } from "../../store/PolicyStore.ts"
import type { SourceFact, SourceWindow } from "../../store/sourceFacts.ts"
import { type ApiFailure, badRequest, expired, failure } from "../ApiFailure.ts"
import { immutableFaults } from "../policies/admission.ts"
import { failureFrom } from "../policies/policyFailure.ts"
import { effectiveTimes, type Question } from "../queries/question.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import { Backtests } from "./Backtests.ts"
import { activityIn, failureText } from "./previewResult.ts"
import type { PreviewSpec, Trial } from "./previewSpec.ts"
import { type Asked, sourceWindow, storedEvent, storedRecord } from "./storedFacts.ts"
import { takingTurns } from "./takingTurns.ts"

/** 25 s at 20,000 a second: kube-apiserver gives up on an answer after a minute. */
const factsMax = 500_000
const timeMax = "50 seconds"

/** A slice of the store, and what came into it since it was measured. */
const pageFactsMax = 4_000

type BacktestTrial = Extract<Trial, { readonly _tag: "Backtest" }>

/** @fails ApiFailure Forbidden, Invalid, Expired, TooManyRequests, Timeout, ServiceUnavailable */
export const backtest = (
  asked: Asked,
  policy: ActivityPolicy,
  trial: BacktestTrial,
  question: Question<PreviewSpec>
) =>
  Effect.gen(function* () {
    const { call, request } = asked
    // It tells what policies say.
    yield* call.authorize({ ...request, verb: "list", resource: "activitypolicies", namespace: "" })
    const backtests = yield* Backtests
    return yield* backtests.admit(call.user.name, running(asked, policy, trial, question)).pipe(
      Effect.timeoutOrElse({ duration: timeMax, orElse: () => Effect.fail(tooLong) }),
      Effect.raceFirst(Effect.andThen(call.gone, Effect.fail(nobodyWaits)))
    )
  })

const tooLong = failure("Timeout", "the backtest took too long: choose a shorter time", { retryAfterSeconds: 10 })

/** Nobody reads it. */
const nobodyWaits = failure("Timeout", "the client has gone")

const running = (asked: Asked, policy: ActivityPolicy, trial: BacktestTrial, question: Question<PreviewSpec>) =>
  Effect.gen(function* () {
    const sides = yield* sidesOf(policy, question)
    const { apiGroup, kind } = policy.spec.resource
    const windows = yield* Effect.forEach(trial.sources, (source) =>
      sourceWindow(asked, source, { apiGroup: apiGroup ?? "", kind, verbs: sides.verbs }, trial.window)
    )
    const resumed = yield* resumedFrom(asked, trial, windows)
    const first = resumed.after === undefined
    if (first) yield* checkSize(resumed.windows, question)
    const tally = new Tally(sides, trial, first)
    yield* Stream.fromIterable(resumed.windows).pipe(
      Stream.flatMap((window, index) => pagesOf(window, index === 0 ? resumed.after : undefined)),
      // The next page is read while this one is evaluated.
      Stream.buffer({ capacity: 1 }),
      Stream.mapEffect(({ facts, window }) =>
        takingTurns(facts, (fact) => tally.add(window, fact)).pipe(Effect.map(() => tally.wantsMore))
      ),
      Stream.takeWhile((wantsMore) => wantsMore),
      Stream.runDrain
    )
    const [{ end, start } = { start: "", end: "" }] = resumed.windows
    const next = tally.next
    return {
      ...effectiveTimes({ start, end }),
      ...(first ? { facts: tally.facts, counts: tally.counts } : {}),
      results: tally.results(question.apiVersion),
      ...(next === undefined
        ? {}
        : {
            continue: cursorText(
              { position: next.position, nowMillis: resumed.nowMillis, start, end, resourceVersion: "" },
              bindingOf(asked, trial, next.window, question)
            )
          })
    }
  })
