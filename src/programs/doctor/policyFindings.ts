/** Policies that are stored and not in force. */
import { Result } from "effect"
import type { BucketEntry } from "../../clients/nats/Nats.ts"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import type { KeptRecord } from "../../domain/keptRecord.ts"
import { policyRecords } from "../../domain/policyRecord.ts"
import { compilePolicy } from "../../process/compilePolicy.ts"
import { objectFrom } from "../../store/keptInBucket.ts"
import type { Finding } from "./Finding.ts"

export const bucketPolicyFindings = (entries: ReadonlyArray<BucketEntry>): ReadonlyArray<Finding> => {
  const live = entries.filter(({ deleted }) => !deleted)
  return [
    ...live.flatMap((entry) => {
      const policy = objectFrom<ActivityPolicy>(entry)
      return policy === undefined
        ? [notReady(entry.key, "it is no ActivityPolicy", "delete it, and apply it anew")]
        : policyFindings(policy)
    }),
    ...noneFindings(live.length)
  ]
}

export const recordPolicyFindings = (records: ReadonlyArray<KeptRecord<ActivityPolicy>>): ReadonlyArray<Finding> => [
  ...records.flatMap((record) => policyFindings(policyRecords.objectFrom(record, "activity.miloapis.com/v1alpha1"))),
  ...noneFindings(records.length)
]

/** By the compiler itself: what a status says may be older than the policy. */
const policyFindings = (policy: ActivityPolicy): ReadonlyArray<Finding> =>
  Result.match(compilePolicy(policy), {
    onSuccess: () => [],
    onFailure: ([first]) => [
      notReady(
        policy.metadata.name,
        first === undefined ? "it does not compile" : `${first.field}: ${first.message}`,
        "apply it corrected; until then its kind is not told"
      )
    ]
  })

const notReady = (name: string, problem: string, remedy: string): Finding => ({
  severity: "fault",
  part: "policies",
  problem: `the policy ${name} is not ready: ${problem}`,
  setting: "--policy-store",
  remedy
})

const noneFindings = (count: number): ReadonlyArray<Finding> =>
  count > 0
    ? []
    : [
        {
          severity: "fault",
          part: "policies",
          problem: "there is no policy: nothing is told",
          setting: "--policy-store",
          remedy: "kubectl apply -f infra/policies/"
        }
      ]
