/**
 * ActivityPolicies in a folder of YAML files, read and checked before anything starts.
 */
import { Effect, Result } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parseAllDocuments } from "yaml"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { policyProblems } from "../../process/Preview.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"

/** @fails StartRefused with the file, the rule and the place of the first fault */
export const readPolicyFiles = (folder: string): Effect.Effect<ReadonlyArray<ActivityPolicy>, StartRefused> =>
  Effect.gen(function*() {
    const names = yield* Effect.try({
      try: () => readdirSync(folder).filter((name) => /\.ya?ml$/.test(name)).sort(),
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

const refused = (sentence: string): StartRefused => new StartRefused({ sentence })

const messageOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

/** The policies of one file, or a sentence. */
const policiesIn = (text: string): Result.Result<ReadonlyArray<ActivityPolicy>, string> => {
  const policies: Array<ActivityPolicy> = []
  for (const document of parseAllDocuments(text)) {
    if (!("errors" in document)) continue
    const fault = document.errors[0]
    if (fault !== undefined) {
      const place = fault.linePos?.[0]
      return Result.fail(`line ${place?.line ?? 1}, column ${place?.col ?? 1}: ${fault.message.split("\n", 1)[0] ?? ""}`)
    }
    const value: unknown = document.toJS()
    if (value === null) continue
    if (!isPolicy(value)) {
      return Result.fail("a document is no ActivityPolicy: it needs apiVersion, kind, metadata.name and spec.resource.kind.")
    }
    const problem = policyProblems(value)[0]
    if (problem !== undefined) {
      return Result.fail(
        `policy "${value.metadata.name}", ${problem.field}, line ${problem.line}, column ${problem.column}: ${problem.message}`
      )
    }
    policies.push(value)
  }
  return Result.succeed(policies)
}

/** Enough of a shape for `policyProblems`, which looks at the rest. */
const isPolicy = (value: unknown): value is ActivityPolicy => {
  if (typeof value !== "object" || value === null || !("kind" in value) || value.kind !== "ActivityPolicy") return false
  if (!("apiVersion" in value) || !/^activity\.miloapis\.com\/v1(alpha1)?$/.test(String(value.apiVersion))) return false
  if (!("metadata" in value) || typeof value.metadata !== "object" || value.metadata === null) return false
  if (!("name" in value.metadata) || typeof value.metadata.name !== "string") return false
  return "spec" in value && typeof value.spec === "object" && value.spec !== null && "resource" in value.spec &&
    typeof value.spec.resource === "object" && value.spec.resource !== null && "kind" in value.spec.resource &&
    typeof value.spec.resource.kind === "string"
}
