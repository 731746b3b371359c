/**
 * The live policies, compiled. Readers take the current {@link PolicySet} without waiting; a change compiles only the
 * policies that differ and replaces the set in one step.
 *
 * A policy that does not compile leaves the set, is reported as broken, and touches no other.
 */
import { Context, Deferred, Effect, Layer, PubSub, Result, Stream } from "effect"
import type { ActivityPolicy } from "../domain/ActivityPolicy.ts"
import { type CompiledPolicy, compilePolicy, type PolicyProblem } from "./compilePolicy.ts"
import { type KindResolver, PolicySet } from "./PolicySet.ts"
import { type PolicyChange, PolicySource } from "./PolicySource.ts"

/** Changes kept for a reader of `changes` that is slow; then taking in further policies waits for it. */
const changesWaitingMax = 1_024

/** What discovery knows, where there is a cluster. */
export interface Discovery {
  readonly kindOf: KindResolver
  /** Annotations of the CRD that defines a kind. */
  readonly annotationsOf: (apiGroup: string, kind: string) => Annotations
  /** One item whenever annotations may have changed. Has one reader; ends where they never do. */
  readonly changes: Stream.Stream<void>
}

export const KindDiscovery = Context.Reference<Discovery>("activity/process/KindDiscovery", {
  defaultValue: () => ({ kindOf: () => undefined, annotationsOf: () => undefined, changes: Stream.empty })
})

export class PolicyCache extends Context.Service<
  PolicyCache,
  {
    /** Never waits. Empty until the first list has arrived. */
    readonly current: () => PolicySet
    /** By name: the policies that do not compile. */
    readonly broken: () => ReadonlyMap<string, ReadonlyArray<PolicyProblem>>
    /** Ends when the first list is compiled. Evaluating before would find no policy for any record. */
    readonly listed: Effect.Effect<void>
    /** For the probes: a sentence while the first list is missing, or when the source has ended. */
    readonly problem: () => string | undefined
    /** Names of policies whose rules changed, appeared or went, from the moment of subscription. */
    readonly changes: Stream.Stream<string>
  }
>()("activity/process/PolicyCache") {
  static readonly layerNoDeps = Layer.effect(
    PolicyCache,
    Effect.gen(function* () {
      const source = yield* PolicySource
      const discovery = yield* KindDiscovery
      const names = yield* PubSub.bounded<string>(changesWaitingMax)
      const firstList = yield* Deferred.make<void>()
      const entries = new Map<string, Entry>()
      let current = PolicySet.empty
      let broken: ReadonlyMap<string, ReadonlyArray<PolicyProblem>> = new Map()
      let listed = false
      let ended = false

      const take = Effect.fnUntraced(function* (change: PolicyChange | Relabelled) {
        const changed = apply(entries, change, (policy) => entryFrom(policy, discovery.annotationsOf))
        if (changed.length > 0) {
          const results = [...entries].map(([name, entry]) => [name, entry.result] as const)
          current = new PolicySet(
            results.flatMap(([, result]) => (Result.isSuccess(result) ? [result.success] : [])),
            discovery.kindOf
          )
          broken = new Map(
            results.flatMap(([name, result]) => (Result.isFailure(result) ? [[name, result.failure] as const] : []))
          )
        }
        if (change._tag === "Listed") {
          listed = true
          yield* Deferred.succeed(firstList, undefined)
        }
        for (const name of changed) {
          const problems = broken.get(name)
          if (problems !== undefined) {
            yield* Effect.logWarning("a policy does not compile; its rules are off", { policy: name, problems })
          }
        }
        yield* PubSub.publishAll(names, changed)
      })

      yield* source.changes.pipe(
        // A source has no end; one that ends all the same must not look alive.
        Stream.onExit(() => Effect.sync(() => void (ended = true))),
        Stream.merge(Stream.map(discovery.changes, (): Relabelled => ({ _tag: "Relabelled" }))),
        Stream.runForEach(take),
        Effect.forkScoped
      )

      return PolicyCache.of({
        current: () => current,
        broken: () => broken,
        listed: Deferred.await(firstList),
        problem: () => {
          if (ended) return "policies are no longer watched"
          return listed ? undefined : "the policies have not been listed yet"
        },
        changes: Stream.fromPubSub(names)
      })
    })
  )
}

/** The annotations of kinds may be others than before. */
interface Relabelled {
  readonly _tag: "Relabelled"
}

interface Entry {
  readonly policy: ActivityPolicy
  /** What compilation depends on. */
  readonly fingerprint: string
  readonly result: Result.Result<CompiledPolicy, ReadonlyArray<PolicyProblem>>
}

type Annotations = Readonly<Record<string, string>> | undefined

const entryFrom = (
  policy: ActivityPolicy,
  annotationsOf: (apiGroup: string, kind: string) => Annotations
): ((known: Entry | undefined) => Entry) => {
  const annotations = annotationsOf(policy.spec?.resource?.apiGroup ?? "", policy.spec?.resource?.kind ?? "")
  const { generation = 0, uid = "" } = policy.metadata
  const fingerprint = JSON.stringify([uid, generation, policy.spec, annotations ?? null])
  return (known) =>
    known?.fingerprint === fingerprint ? known : { policy, fingerprint, result: compilePolicy(policy, annotations) }
}

/** Takes a change into `entries`; returns the names whose rules are not what they were. */
const apply = (
  entries: Map<string, Entry>,
  change: PolicyChange | Relabelled,
  entryOf: (policy: ActivityPolicy) => (known: Entry | undefined) => Entry
): ReadonlyArray<string> => {
  const changed: Array<string> = []
  const put = (policy: ActivityPolicy): void => {
    const { name } = policy.metadata
    const known = entries.get(name)
    const entry = entryOf(policy)(known)
    if (entry === known) return
    entries.set(name, entry)
    changed.push(name)
  }
  const remove = (name: string): void => {
    if (entries.delete(name)) changed.push(name)
  }
  if (change._tag === "Relabelled") {
    for (const { policy } of [...entries.values()]) put(policy)
    return changed
  }
  if (change._tag === "Changed") {
    if (change.policy === undefined) remove(change.name)
    else put(change.policy)
    return changed
  }
  const listed = new Set(change.policies.map((policy) => policy.metadata.name))
  for (const name of [...entries.keys()]) if (!listed.has(name)) remove(name)
  change.policies.forEach(put)
  return changed
}
