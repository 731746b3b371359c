/**
 * Tells in each policy's status whether its rules are in effect: one that was written around our API was not checked by
 * anybody, and what an older release took may not compile any more.
 *
 * A write is bound to the policy that was looked at. Whoever else writes the condition, an API server of another release
 * that disagrees perhaps, is contradicted once a minute, not in a circle.
 */
import { Clock, Effect, Metric, Stream } from "effect"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import type { StatusCondition } from "../../domain/KeptObject.ts"
import { secondsTimestampText } from "../../domain/instant.ts"
import { type PolicyProblem, policyProblems } from "../../process/Preview.ts"
import { readyCondition } from "../../serve/policies/readyCondition.ts"
import type { KeptUpdate } from "../../store/KeptObjects.ts"
import { PolicyStore, PolicyUpkeep } from "../../store/PolicyStore.ts"

/** What did not arrive, or was changed by somebody, is told again after so long. */
const againMillis = 60_000

/** What is refused is told again after one such time, then after twice, up to this. */
const refusedMillisMax = 16 * againMillis

const statusesRefused = Metric.gauge("activity_controller_policy_statuses_refused", {
  description: "Policies whose status the cluster does not take: rights are missing, or its definition is another"
})

/** As many problems as a reader can use. */
const problemsMax = 10
const messageLengthMax = 4_096

/** Runs for ever. */
export const reportReady = Effect.gen(function* () {
  const upkeep = yield* PolicyUpkeep
  const store = yield* PolicyStore
  const known = new Map<string, ActivityPolicy>()
  const verdicts = new Map<string, Verdict>()

  const reportOne = Effect.fnUntraced(function* (policy: ActivityPolicy) {
    const { generation = 1, name, uid = "" } = policy.metadata
    const now = yield* Clock.currentTimeMillis
    const before = verdicts.get(name)
    const verdict =
      before?.uid === uid && before.generation === generation
        ? before
        : { uid, generation, problems: policyProblems(policy), nextMillis: now, refusals: 0 }
    const status = statusOf(policy, verdict, now)
    if (status === undefined) return void verdicts.set(name, { ...verdict, refusals: 0 })
    verdicts.set(name, verdict)
    if (now < verdict.nextMillis) return
    verdicts.set(name, { ...verdict, nextMillis: now + againMillis, refusals: 0 })
    yield* upkeep.writeStatus({ ...policy, status }).pipe(
      Effect.asVoid,
      Effect.catch(({ reason }) => {
        switch (reason._tag) {
          // What it is now comes, and is looked at anew.
          case "ObjectMissing":
          case "ObjectChanged":
            verdicts.delete(name)
            return Effect.void
          case "ObjectRefused":
            return refused(name, verdict, now, reason.sentence)
          default:
            return Effect.logDebug("the status of a policy could not be written", { policy: name, reason: reason._tag })
        }
      })
    )
  })

  /** As long as it is the same, only rights that were granted since can change it. */
  const refused = (name: string, verdict: Verdict, now: number, sentence: string) => {
    const pauseMillis = Math.min(refusedMillisMax, againMillis * 2 ** verdict.refusals)
    verdicts.set(name, { ...verdict, nextMillis: now + pauseMillis, refusals: verdict.refusals + 1 })
    return verdict.refusals > 0
      ? Effect.void
      : Effect.logWarning("the status of a policy is refused", { policy: name, error: sentence })
  }

  const countRefused = Effect.suspend(() =>
    Metric.update(statusesRefused, [...verdicts.values()].filter(({ refusals }) => refusals > 0).length)
  )

  /** A policy that nobody thought of is told of by none: the others' turn comes. */
  const report = (policy: ActivityPolicy) =>
    Effect.catchDefect(reportOne(policy), (defect) =>
      Effect.logError("a policy's status could not be told", { policy: policy.metadata.name, defect })
    )

  const take = (update: KeptUpdate<ActivityPolicy>) => {
    if (update._tag === "Changed") {
      if (update.object !== undefined) {
        known.set(update.name, update.object)
        return report(update.object)
      }
      known.delete(update.name)
      verdicts.delete(update.name)
      return Effect.void
    }
    known.clear()
    for (const policy of update.objects) known.set(policy.metadata.name, policy)
    for (const name of verdicts.keys()) if (!known.has(name)) verdicts.delete(name)
    return Effect.forEach(update.objects, report, { discard: true })
  }
  const follow = store.updates.pipe(Stream.runForEach((update) => Effect.andThen(take(update), countRefused)))
  const again = Effect.sleep(againMillis).pipe(
    Effect.andThen(Effect.suspend(() => Effect.forEach([...known.values()], report, { discard: true }))),
    Effect.andThen(countRefused),
    Effect.forever
  )
  yield* Effect.all([follow, again], { concurrency: 2, discard: true })
  // Whoever has the lease next counts them.
}).pipe(Effect.ensuring(Metric.update(statusesRefused, 0)))

interface Verdict {
  readonly uid: string
  readonly generation: number
  readonly problems: ReadonlyArray<PolicyProblem>
  /** When it may be told again, in milliseconds since 1970. */
  readonly nextMillis: number
  /** How often it was refused since it was last taken, or changed. */
  readonly refusals: number
}

/** What the status has to be; undefined when it says so already. */
const statusOf = (policy: ActivityPolicy, { generation, problems }: Verdict, now: number): ActivityPolicy["status"] => {
  const conditions = conditionsOf(policy)
  const before = conditions.find(({ type }) => type === "Ready")
  const wanted = conditionFrom(problems, generation, "")
  if (
    before !== undefined &&
    before.status === wanted.status &&
    before.reason === wanted.reason &&
    before.message === wanted.message &&
    before.observedGeneration === generation &&
    policy.status?.observedGeneration === generation
  ) {
    return undefined
  }
  const since = before?.status === wanted.status ? before.lastTransitionTime : secondsTimestampText(BigInt(now) * 1000n)
  return {
    conditions: [...conditions.filter(({ type }) => type !== "Ready"), { ...wanted, lastTransitionTime: since }],
    observedGeneration: generation
  }
}

/** A status that somebody wrote where its definition let him may hold anything: what is no condition is left out. */
const conditionsOf = ({ status }: ActivityPolicy): ReadonlyArray<StatusCondition> => {
  const found: unknown = status?.conditions
  // An object with a type is told apart by it; nothing else is asked of those that are not ours.
  const isCondition = (one: unknown): one is StatusCondition => typeof one === "object" && one !== null && "type" in one
  return Array.isArray(found) ? found.filter(isCondition) : []
}

const conditionFrom = (
  problems: ReadonlyArray<PolicyProblem>,
  observedGeneration: number,
  since: string
): StatusCondition =>
  problems.length === 0
    ? readyCondition(since, observedGeneration)
    : {
        type: "Ready",
        status: "False",
        // The word that existing clients know.
        reason: "ValidationFailed",
        message: messageFrom(problems),
        lastTransitionTime: since,
        observedGeneration
      }

const messageFrom = (problems: ReadonlyArray<PolicyProblem>): string => {
  const told = problems.slice(0, problemsMax).map(({ column = 1, field, line, message }) => {
    const place = line === undefined ? "" : `line ${line}, column ${column}: `
    return `${field}: ${place}${message}`
  })
  const more = problems.length > problemsMax ? [`and ${problems.length - problemsMax} more`] : []
  return [...told, ...more].join("; ").slice(0, messageLengthMax)
}
