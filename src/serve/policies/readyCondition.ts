/** The condition of a policy whose rules are in effect. */
import type { StatusCondition } from "../../domain/KeptObject.ts"

/**
 * In the words that existing clients know.
 *
 * @param since RFC 3339: when it became ready
 */
export const readyCondition = (since: string, observedGeneration: number): StatusCondition => ({
  type: "Ready",
  status: "True",
  reason: "Valid",
  message: "All rules validated successfully",
  lastTransitionTime: since,
  observedGeneration
})
