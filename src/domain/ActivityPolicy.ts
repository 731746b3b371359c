/** The ActivityPolicy API object: how the records and Events of one kind are told. */
import type { ObjectMetadata, StatusCondition } from "./KeptObject.ts"

export interface ActivityPolicy {
  readonly apiVersion: string
  readonly kind: "ActivityPolicy"
  readonly metadata: ObjectMetadata
  readonly spec: ActivityPolicySpec
  readonly status?: {
    readonly conditions?: ReadonlyArray<StatusCondition>
    readonly observedGeneration?: number
  }
}

export interface ActivityPolicySpec {
  readonly resource: {
    /** Absent or "": the core group. */
    readonly apiGroup?: string
    readonly kind: string
    /** The resource's plural, where it is not what its kind suggests. */
    readonly plural?: string
  }
  /** Human-readable kind, e.g. "HTTP proxy"; else the CRD's annotation, else the split kind. */
  readonly kindLabel?: string
  readonly kindLabelPlural?: string
  readonly auditRules?: ReadonlyArray<PolicyRule>
  readonly eventRules?: ReadonlyArray<PolicyRule>
}

export interface PolicyRule {
  /** Defaults to `audit-0`, `event-3`. */
  readonly name?: string
  readonly description?: string
  /** CEL, of type bool. */
  readonly match: string
  /** Text with CEL between `{{` and `}}`. */
  readonly summary: string
  /** Which requests an audit rule sees; Success when absent. */
  readonly outcome?: "Success" | "Failure" | "Any"
}
