/** The port through which policies arrive: the policy store of a cluster, or of a standalone server. */
import { Context, type Stream } from "effect"
import type { ActivityPolicy } from "../domain/ActivityPolicy.ts"

/**
 * - Listed: all policies there are; replaces everything known before. Always comes first.
 * - Changed: one policy as it is now, undefined when it was deleted.
 */
export type PolicyChange =
  | { readonly _tag: "Listed"; readonly policies: ReadonlyArray<ActivityPolicy> }
  | { readonly _tag: "Changed"; readonly name: string; readonly policy: ActivityPolicy | undefined }

export class PolicySource extends Context.Service<
  PolicySource,
  {
    /** In order, without end and without failure: a source that is cut off tries again and lists anew. */
    readonly changes: Stream.Stream<PolicyChange>
  }
>()("activity/process/PolicySource") {}
