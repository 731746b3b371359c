import type { Tenant } from "./Tenant.ts"

/** JSON as it was parsed: nothing about it is known yet. */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | JsonObject
export interface JsonObject {
  readonly [name: string]: Json | undefined
}

export const isJsonObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The string at `value[name]`, or "" when there is none. */
export const textAt = (value: Json | undefined, name: string): string => {
  if (!isJsonObject(value) || !Object.hasOwn(value, name)) return ""
  const found = value[name]
  return typeof found === "string" ? found : ""
}

/** The object at `value[name]`, or undefined. */
export const objectAt = (value: Json | undefined, name: string): JsonObject | undefined => {
  if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined
  const found = value[name]
  return isJsonObject(found) ? found : undefined
}

/** What was asked of the API server, and how it ended: enough to tell which rules can match. It stands before the bodies. */
export interface AuditRequest {
  readonly stage: string
  readonly verb: string
  readonly objectRef: {
    readonly apiGroup: string
    readonly apiVersion: string
    readonly resource: string
    readonly subresource: string
    readonly namespace: string
    readonly name: string
    readonly uid: string
  }
  readonly hasObjectRef: boolean
  readonly statusCode: number
}

/**
 * One audit record (audit.k8s.io/v1 Event) that entered: its envelope decoded, its whole JSON beside it.
 *
 * Times are RFC 3339 in UTC with six fractional digits, however they were sent. Absent texts are "", an absent code is 0.
 */
export interface AuditRecord extends AuditRequest {
  /** UUIDv5, see domain/identity.ts. */
  readonly key: string
  readonly cluster: string
  readonly tenant: Tenant
  readonly auditID: string
  readonly level: string
  readonly requestURI: string
  readonly requestReceivedTimestamp: string
  readonly user: { readonly username: string; readonly uid: string }
  readonly userAgent: string
  readonly sourceIP: string
  readonly dryRun: boolean
  /** The record as it was sent. */
  readonly json: string
  /** `json`, parsed. */
  readonly body: JsonObject
}
