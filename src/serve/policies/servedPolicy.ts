import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { policyFromRecord } from "../../domain/policyRecord.ts"

/** A policy in the version that the client asked for: both have the same fields. */
export const servedPolicy = (policy: ActivityPolicy, apiVersion: string): ActivityPolicy =>
  policy.apiVersion === apiVersion ? policy : policyFromRecord(policy, apiVersion)
