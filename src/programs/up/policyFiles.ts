/**
 * ActivityPolicies in a folder of YAML files, read and checked before anything starts.
 */
import { Clock, Effect, Result } from "effect"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { activityPolicySpecSchema, activityPolicyStatusSchema } from "../../contracts/activityPolicySchema.ts"
import type { JsonSchema } from "../../contracts/JsonSchema.ts"
import { metaReference } from "../../contracts/metaSchemas.ts"
import type { ActivityPolicy, ActivityPolicySpec } from "../../domain/ActivityPolicy.ts"
import type { Json } from "../../domain/AuditRecord.ts"
import { uuidFrom } from "../../domain/identity.ts"
import { secondsTimestampText } from "../../domain/instant.ts"
import { policyProblems } from "../../process/Preview.ts"
import { parseYamlDocuments } from "../../runtime/parseYaml.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"
import { fieldProblems } from "../../serve/objects/fieldProblems.ts"
import { readyCondition } from "../../serve/policies/readyCondition.ts"
import { PolicyBucket } from "../../store/PolicyBucket.ts"
import type { KeptObjectsError } from "../../store/KeptObjects.ts"
import { PolicyStore } from "../../store/PolicyStore.ts"

/** @fails StartRefused with the file, the rule and the place of the first fault */
export const readPolicyFiles = (folder: string): Effect.Effect<ReadonlyArray<ActivityPolicy>, StartRefused> =>
  Effect.gen(function* () {
    const names = yield* Effect.try({
      try: () =>
        readdirSync(folder)
          .filter((name) => /\.ya?ml$/.test(name))
          .sort(),
      catch: (cause) => refused(`--policies ${folder} cannot be read: ${messageOf(cause)}`)
    })
    const policies: Array<ActivityPolicy> = []
    for (const name of names) {
      const path = join(folder, name)
      const text = yield* Effect.try({
        try: () => readFileSync(path, "utf8"),
        catch: (cause) => refused(`--policies: ${path} cannot be read: ${messageOf(cause)}`)
      })
      const read = policiesIn(text)
      if (Result.isFailure(read)) return yield* refused(`--policies: ${path}: ${read.failure}`)
      for (const policy of read.success) {
        if (policies.some((known) => known.metadata.name === policy.metadata.name)) {
          return yield* refused(`--policies: ${path}: another file has a policy "${policy.metadata.name}" too.`)
        }
        policies.push(policy)
      }
    }
    return policies
  })

const hashAnnotation = "activity.miloapis.com/policy-file-hash"

/**
 * Puts the files' policies in place: creates what is missing, and brings what was made from a file, and not changed
 * since through the API, to the file's text. A policy that somebody changed stays as it is.
 */
export const placePolicies = (
  policies: ReadonlyArray<ActivityPolicy>
): Effect.Effect<void, KeptObjectsError, PolicyStore | PolicyBucket> =>
  Effect.gen(function* () {
    const [store, bucket] = [yield* PolicyStore, yield* PolicyBucket]
    const now = secondsTimestampText(BigInt(yield* Clock.currentTimeMillis) * 1000n)
    const stored = new Map((yield* store.list).objects.map((policy) => [policy.metadata.name, policy]))
    for (const policy of policies) {
      const known = stored.get(policy.metadata.name)
      if (known === undefined) yield* bucket.create(placed(policy, { now, generation: 1 }))
      else if (known.metadata.annotations?.[hashAnnotation] === specHash(known.spec) && !sameSpec(known, policy)) {
        yield* bucket.update({
          ...placed(policy, { now, generation: (known.metadata.generation ?? 1) + 1 }),
          metadata: {
            ...known.metadata,
            generation: (known.metadata.generation ?? 1) + 1,
            annotations: { ...known.metadata.annotations, ...fileAnnotations(policy) }
          }
        })
      } else if (!sameSpec(known, policy)) {
        yield* Effect.logInfo("a policy was changed through the API and stays as it is", {
          policy: known.metadata.name
        })
      }
    }
  })

const sameSpec = (one: ActivityPolicy, other: ActivityPolicy): boolean => specHash(one.spec) === specHash(other.spec)

const specHash = (spec: ActivityPolicySpec): string =>
  createHash("sha256").update(JSON.stringify(spec)).digest("hex").slice(0, 32)

const fileAnnotations = (policy: ActivityPolicy): Readonly<Record<string, string>> => ({
  [hashAnnotation]: specHash(policy.spec),
  [appliedAnnotation]: appliedText(policy)
})

/** From it `kubectl apply` learns what the file said before; without it, it warns. */
const appliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration"

/** Byte for byte what kubectl writes for the same file, so that it finds it unchanged: keys in order, as Go escapes. */
const appliedText = (policy: ActivityPolicy): string => {
  const { [appliedAnnotation]: _, ...annotations } = policy.metadata.annotations ?? {}
  const text = JSON.stringify(inKeyOrder({ ...policy, metadata: { ...policy.metadata, annotations } }))
  return `${text.replaceAll(/[<>&\u2028\u2029]/g, goEscape)}\n`
}

const goEscape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

const inKeyOrder = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(inKeyOrder)
  if (typeof value !== "object" || value === null) return value
  const entries = Object.entries(value).map(([key, one]) => [key, inKeyOrder(one)] as const)
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)))
}

const placed = (policy: ActivityPolicy, at: { readonly now: string; readonly generation: number }): ActivityPolicy => ({
  ...policy,
  metadata: {
    ...policy.metadata,
    uid: uuidFrom("policy", policy.metadata.name, at.now),
    generation: at.generation,
    creationTimestamp: at.now,
    annotations: { ...policy.metadata.annotations, ...fileAnnotations(policy) }
  },
  status: {
    observedGeneration: at.generation,
    conditions: [readyCondition(at.now, at.generation)]
  }
})

const refused = (sentence: string): StartRefused => new StartRefused({ sentence })

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** The policies of one file, or a sentence. */
const policiesIn = (text: string): Result.Result<ReadonlyArray<ActivityPolicy>, string> =>
  Result.flatMap(parseYamlDocuments(text), (documents) => Result.all(documents.map(policyFrom)))

const policySchema: JsonSchema = {
  type: "object",
  properties: {
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: metaReference("ObjectMeta"),
    spec: activityPolicySpecSchema,
    status: activityPolicyStatusSchema
  }
}

const policyFrom = (value: unknown): Result.Result<ActivityPolicy, string> => {
  if (!isPolicy(value)) {
    return Result.fail(
      "a document is no ActivityPolicy: it needs apiVersion, kind, metadata.name and spec.resource.kind."
    )
  }
  const name = `policy "${value.metadata.name}"`
  // It comes from YAML, whose values are JSON's.
  const { mismatches, unknown } = fieldProblems(policySchema, value as unknown as Json)
  const [slip] = [...mismatches, ...unknown.map((path) => `unknown field "${path}"`)]
  if (slip !== undefined) return Result.fail(`${name}: ${slip}`)
  const [problem] = policyProblems(value)
  if (problem === undefined) return Result.succeed(value)
  const place = problem.line === undefined ? "" : `, line ${problem.line}, column ${problem.column ?? 1}`
  return Result.fail(`${name}, ${problem.field}${place}: ${problem.message}`)
}

/** Enough of a shape for `policyProblems`, which looks at the rest. */
const isPolicy = (value: unknown): value is ActivityPolicy => {
  if (typeof value !== "object" || value === null || !("kind" in value) || value.kind !== "ActivityPolicy") return false
  if (!("apiVersion" in value) || !/^activity\.miloapis\.com\/v1(alpha1)?$/.test(String(value.apiVersion))) return false
  if (!("metadata" in value) || typeof value.metadata !== "object" || value.metadata === null) return false
  if (!("name" in value.metadata) || typeof value.metadata.name !== "string") return false
  return (
    "spec" in value &&
    typeof value.spec === "object" &&
    value.spec !== null &&
    "resource" in value.spec &&
    typeof value.spec.resource === "object" &&
    value.spec.resource !== null &&
    "kind" in value.spec.resource &&
    typeof value.spec.resource.kind === "string"
  )
}
