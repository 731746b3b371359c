/**
 * What a policy would change: everything of its kind that a time holds is evaluated twice, by the policies as they are
 * and by the policies with the candidate among them.
 *
 * Memory holds three pages of the store at most. It ends when its caller goes away.
 */
import { Effect, Option, Result, Stream } from "effect"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { KindDiscovery } from "../../process/PolicyCache.ts"
import { mainResourcesOnly, policySetOf, verbsOf } from "../../process/Preview.ts"
import { takingTurns } from "../../runtime/takingTurns.ts"
import { type CursorBinding, cursorFrom, cursorText } from "../../store/cursor.ts"
import { FactQueries } from "../../store/FactQueries.ts"
import { PolicyStore } from "../../store/PolicyStore.ts"
import type { Position } from "../../store/Position.ts"
import type { SourceFact, SourceWindow } from "../../store/sourceFacts.ts"
import { type ApiFailure, badRequest, expired, failure, unavailable } from "../ApiFailure.ts"
import { failureOf } from "../kept/keptFailure.ts"
import { Places } from "../Places.ts"
import { immutableFaults } from "../policies/policyFaults.ts"
import { policyKind } from "../policies/policyKind.ts"
import { effectiveTimes, type Question } from "../queries/question.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import { BacktestTally, type Sides } from "./BacktestTally.ts"
import type { PreviewSpec, Trial } from "./previewSpec.ts"
import { type Asked, type PolicyKind, sourceWindow } from "./storedFacts.ts"

/** 25 s at 20,000 a second: kube-apiserver gives up on an answer after a minute. */
const factsMax = 500_000
const timeMax = "50 seconds"

/** A slice of the store, and what came into it since it was measured. */
const pageFactsMax = 4_000

export interface Backtest {
  readonly asked: Asked
  readonly policy: ActivityPolicy
  readonly trial: Extract<Trial, { readonly _tag: "Backtest" }>
  readonly question: Question<PreviewSpec>
}

/** @fails ApiFailure Forbidden, Invalid, Expired, TooManyRequests, Timeout, ServiceUnavailable */
export const backtestAnswer = (backtest: Backtest) =>
  Effect.gen(function* () {
    const { call, request } = backtest.asked
    // It tells what policies say.
    yield* call.authorize({ ...request, verb: "list", resource: "activitypolicies", namespace: "", name: "" })
    const places = yield* Places
    yield* places.admit("backtest")
    yield* places.share("backtest", call.user.name)
    return yield* running(backtest).pipe(
      Effect.timeoutOrElse({ duration: timeMax, orElse: () => Effect.fail(tooLong) }),
      Effect.raceFirst(Effect.andThen(call.gone, Effect.fail(nobodyWaits)))
    )
  }).pipe(Effect.scoped)

const tooLong = failure("Timeout", "the backtest took too long: choose a shorter time", { retryAfterSeconds: 10 })

/** Nobody reads it. */
const nobodyWaits = failure("Timeout", "the client has gone")

const running = (backtest: Backtest) =>
  Effect.gen(function* () {
    const { asked, policy, question, trial } = backtest
    const { asked: of, sides } = yield* sidesOf(policy, question)
    const windows = yield* Effect.forEach(trial.sources, (source) => sourceWindow(asked, source, of, trial.window))
    const resumed = yield* resumedFrom(backtest, windows)
    if (resumed === undefined) yield* checkSize(windows, question)
    const tally = new BacktestTally(sides, trial)
    const parts = resumed?.parts ?? windows.map((window) => ({ window, after: undefined }))
    yield* Stream.fromIterable(parts).pipe(
      Stream.flatMap(pagesOf),
      // The next page is read while this one is evaluated.
      Stream.buffer({ capacity: 1 }),
      Stream.mapEffect(({ facts, window }) => takingTurns(facts, (fact) => tally.add(window, fact))),
      // What follows is counted only once.
      Stream.takeWhile(() => resumed === undefined || tally.last === undefined),
      Stream.runDrain
    )
    const { last } = tally
    const { end, start } = parts[0]?.window ?? { start: "", end: "" }
    return {
      ...effectiveTimes({ start, end }),
      ...(resumed === undefined ? { facts: tally.facts, counts: tally.counts } : {}),
      results: tally.results(question.apiVersion),
      ...(last === undefined
        ? {}
        : {
            continue: cursorText(
              {
                position: last.position,
                nowMillis: resumed?.nowMillis ?? millisOf(asked),
                start,
                end,
                resourceVersion: ""
              },
              bindingOf(backtest, last.window)
            )
          })
    }
  })

const millisOf = ({ now }: Asked): number => Number(now / 1_000n)

/** @fails ApiFailure Invalid when the policy of that name is of another kind */
const sidesOf = (policy: ActivityPolicy, question: Question<PreviewSpec>) =>
  Effect.gen(function* () {
    const store = yield* PolicyStore
    const absence = store.absence()
    if (absence !== undefined) return yield* unavailable(absence)
    const { objects: policies } = yield* store.list.pipe(Effect.mapError(failureOf(policyKind.names)))
    const discovery = yield* KindDiscovery
    const { name } = policy.metadata
    const stored = policies.find(({ metadata }) => metadata.name === name)
    const faults = stored === undefined ? [] : immutableFaults(policy, stored)
    if (faults.length > 0) {
      return yield* question.refusal(
        faults.map((fault) => ({ ...fault, field: fault.field.replace(/^spec/, "spec.policy") }))
      )
    }
    // A new generation by itself changes nothing.
    const { generation } = stored?.metadata ?? {}
    const candidate = generation === undefined ? policy : { ...policy, metadata: { ...policy.metadata, generation } }
    // Only those of its API group meet it.
    const apiGroup = policy.spec.resource.apiGroup ?? ""
    const others = policies.filter(
      ({ metadata, spec }) => metadata.name !== name && (spec.resource.apiGroup ?? "") === apiGroup
    )
    const own = stored === undefined ? [] : [stored]
    const sides: Sides = {
      name,
      before: policySetOf([...others, ...own], discovery),
      after: policySetOf([...others, candidate], discovery)
    }
    const both = policySetOf([candidate, ...own], discovery)
    const asked: PolicyKind = {
      apiGroup,
      objectKind: policy.spec.resource.kind,
      verbs: verbsOf(both),
      mainResourcesOnly: mainResourcesOnly(both)
    }
    return { sides, asked }
  })

const checkSize = (windows: ReadonlyArray<SourceWindow>, question: Question<PreviewSpec>) =>
  Effect.gen(function* () {
    const queries = yield* FactQueries
    const counts = yield* Effect.forEach(windows, (window) => queries.sourceCount(window, factsMax + 1)).pipe(
      Effect.mapError(storeFailureFrom)
    )
    if (counts.reduce((sum, count) => sum + count, 0) <= factsMax) return
    yield* question.refusal([
      {
        field: "spec.backtest.timeRange",
        reason: "FieldValueInvalid",
        message: `Invalid value: it holds more than ${factsMax} records and Events that a rule could be asked about: choose a shorter time`
      }
    ])
  })

/** A window, or what is left of it. */
interface Part {
  readonly window: SourceWindow
  readonly after: Position | undefined
}

interface Page {
  readonly window: SourceWindow
  readonly facts: ReadonlyArray<SourceFact>
}

/** Slice by slice; a slice whose facts are large takes several pages. */
const pagesOf = ({ after, window }: Part): Stream.Stream<Page, ApiFailure, FactQueries> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const queries = yield* FactQueries
      const slices = yield* queries.sourceSlices(window)
      return Stream.paginate(after, (reached) =>
        Effect.map(queries.sourcePage(window, { slices, after: reached, limit: pageFactsMax }), ({ facts, next }) => [
          [{ window, facts }],
          Option.fromUndefinedOr(next)
        ])
      )
    })
  ).pipe(Stream.mapError(storeFailureFrom))

/** Undefined where the backtest begins. @fails ApiFailure BadRequest, Expired */
const resumedFrom = (backtest: Backtest, windows: ReadonlyArray<SourceWindow>) =>
  Effect.gen(function* () {
    const { asked, trial } = backtest
    if (trial.continue === "") return undefined
    const nowMillis = millisOf(asked)
    for (const [index, window] of windows.entries()) {
      const read = cursorFrom(trial.continue, bindingOf(backtest, window), nowMillis)
      if (Result.isSuccess(read)) {
        const { end, nowMillis: began, position, start } = read.success
        const parts = windows
          .slice(index)
          .map((one): Part => ({ window: { ...one, start, end }, after: one === window ? position : undefined }))
        return { parts, nowMillis: began }
      }
      if (read.failure._tag === "CursorExpired") {
        return yield* expired("spec.backtest.continue is too old: start the backtest again without it")
      }
    }
    return yield* badRequest(
      "spec.backtest.continue is not valid: it was made for another backtest or caller, or changed; start again without it"
    )
  })

/** What is listed may be more or less from answer to answer; nothing else may change. */
const bindingOf = ({ asked, question, trial }: Backtest, window: SourceWindow): CursorBinding => ({
  key: asked.options.cursorKey,
  scope: window.scope,
  query: JSON.stringify([
    "policypreviews",
    window.kind,
    asked.call.user.name,
    { ...question.spec, backtest: { ...question.spec.backtest, limit: 0, continue: "" } },
    [...trial.outcomes]
  ])
})
