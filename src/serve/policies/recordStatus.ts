/**
 * What the cluster's API server says of an ActivityPolicyRecord, as it is said of an ActivityPolicy.
 *
 * A name is rewritten where the structure says that it is one: in `details`, at the beginning of a message, and where a
 * conflict says which version a manager used. The rest is somebody's text.
 */
import { isJsonObject, type Json, type JsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { policyRecords } from "../../domain/policyRecord.ts"
import {
  type ApiFailure,
  failure,
  type Reason,
  reasonCodes,
  type StatusCause,
  type StatusDetails
} from "../ApiFailure.ts"
import { policyKind } from "./policyBody.ts"

/** @param version of the client's request, such as `v1` */
export const failureFromStatus = (code: number, status: Json | undefined, version: string): ApiFailure => {
  if (!isJsonObject(status) || status["kind"] !== "Status") {
    return failure(reasonFrom("", code), `the cluster's API server answered ${code}`)
  }
  const message = textAt(status, "message")
  if (code === 401 || isOurOwn(code, message)) {
    return failure("InternalError", `the cluster does not let this server keep policies: ${message}`)
  }
  const details = objectAt(status, "details")
  const causes = details?.["causes"]
  const rewrittenCauses = Array.isArray(causes)
    ? causes.filter(isJsonObject).map((cause: JsonObject) => causeFrom(cause, version))
    : undefined
  return failure(
    reasonFrom(textAt(status, "reason"), code),
    (rewrittenCauses ?? []).reduce(
      (text, { after, before }) => (after === before ? text : text.replace(before, () => after)),
      policyMessage(message, version)
    ),
    details === undefined
      ? undefined
      : {
          // The server's own, which has the same shape.
          ...(details as StatusDetails),
          ...(details["group"] === policyRecords.group ? { group: policyKind.group } : {}),
          ...(typeof details["kind"] === "string" ? { kind: policyNames[details["kind"]] ?? details["kind"] } : {}),
          ...(rewrittenCauses === undefined ? {} : { causes: rewrittenCauses.map(({ cause }) => cause) })
        }
  )
}

/** Another write came between, or may have: neither the client's version nor another manager's fields stand against it. */
export const isRace = (error: ApiFailure): boolean => {
  // Made by failureFromStatus.
  const { causes = [] } = (error.details ?? {}) as StatusDetails
  return error.reason === "Conflict" && !causes.some(({ reason }) => reason === fieldManagerConflict)
}

const fieldManagerConflict = "FieldManagerConflict"

const policyNames: Readonly<Record<string, string>> = {
  [policyRecords.plural]: policyKind.plural,
  [policyRecords.kind]: policyKind.kind
}

/** This server's own rights, not the client's. */
const isOurOwn = (code: number, message: string): boolean =>
  code === 403 && new RegExp(`^${policyRecords.plural}\\.\\S+ .*is forbidden: User "`).test(message)

const escaped = policyRecords.group.replaceAll(".", "\\.")
const named = new RegExp(
  `^((?:Operation cannot be fulfilled on )?)(${policyRecords.plural}|${policyRecords.kind})\\.${escaped} (?=")`
)
const decoded = new RegExp(
  `^${policyRecords.kind} in version "${policyRecords.version}" cannot be handled as a ${policyRecords.kind}: `
)

const policyMessage = (message: string, version: string): string =>
  message
    .replace(named, (_, before: string, name: string) => `${before}${policyNames[name]}.${policyKind.group} `)
    .replace(decoded, `${policyKind.kind} in version "${version}" cannot be handled as a ${policyKind.kind}: `)

/** `conflict with "kubectl" using storage.activity.miloapis.com/v1alpha1 at 2026-11-21T…`; a manager may be called anything. */
const usedVersion = new RegExp(`^(conflict with "(?:[^"\\\\]|\\\\.)*" .*?using )${escaped}/${policyRecords.version}`)

const causeFrom = (found: JsonObject, version: string) => {
  // A cause of a Status: texts only.
  const cause = found as unknown as StatusCause
  const before = cause.message
  const after =
    cause.reason === fieldManagerConflict
      ? before.replace(usedVersion, (_, head: string) => `${head}${policyKind.group}/${version}`)
      : before
  return { before, after, cause: { ...cause, message: after } }
}

const reasonFrom = (reason: string, code: number): Reason => {
  const known = (Object.keys(reasonCodes) as ReadonlyArray<Reason>).filter((one) => reasonCodes[one] === code)
  return known.find((one) => one === reason) ?? known[0] ?? (code < 500 ? "BadRequest" : "InternalError")
}
