/** What the API server may use of this room besides the cache: the same checks that the processor's rules pass. */
import { Result } from "effect"
import type { ActivityPolicy } from "../domain/ActivityPolicy.ts"
import { compilePolicy, type PolicyProblem } from "./compilePolicy.ts"

export type { PolicyProblem } from "./compilePolicy.ts"

/** Every problem of a policy, empty when it may be admitted. At most one per expression. */
export const policyProblems = (policy: ActivityPolicy): ReadonlyArray<PolicyProblem> => {
  const compiled = compilePolicy(policy)
  return Result.isFailure(compiled) ? compiled.failure : []
}
