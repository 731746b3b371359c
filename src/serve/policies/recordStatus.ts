/**
 * What the cluster's API server says of an ActivityPolicyRecord, as it is said of an ActivityPolicy.
 *
 * A name is rewritten where the structure says that it is one: in `details`, at the beginning of a message, and where a
 * conflict says which version a manager used. The rest is somebody's text.
 */
import { isJsonObject, type Json, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { policyRecords } from "../../domain/policyRecord.ts"
import { type ApiFailure, failure, type Reason, reasonCodes, type StatusDetails } from "../ApiFailure.ts"
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
  const reason = reasonFrom(textAt(status, "reason"), code)
  const found = objectAt(status, "details")
  if (found === undefined) return failure(reason, policyMessage(message, version))
  // The server's own, which has the same shape.
  const details = found as StatusDetails
  const causes = details.causes?.map((cause) =>
    cause.reason === fieldManagerConflict ? { ...cause, message: conflictMessage(cause.message, version) } : cause
  )
  return failure(
    reason,
    causes?.some((cause) => cause.reason === fieldManagerConflict)
      ? conflictMessage(message, version)
      : policyMessage(message, version),
    {
      ...details,
      ...(details.group === policyRecords.group ? { group: policyKind.group } : {}),
      ...(details.kind === undefined ? {} : { kind: policyNames[details.kind] ?? details.kind }),
      ...(causes === undefined ? {} : { causes })
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

/** `conflict with "kubectl" using storage.activity.miloapis.com/v1alpha1 at 2026-11-21T…`, or a line for each manager. */
const usedVersion = new RegExp(
  `((?:^|: )conflicts? with "(?:[^"\\\\]|\\\\.)*"(?: with subresource "[^"]*")? using )${escaped}/${policyRecords.version}`,
  "gm"
)

const conflictMessage = (message: string, version: string): string =>
  message.replaceAll(usedVersion, (_, before: string) => `${before}${policyKind.group}/${version}`)

const reasonFrom = (reason: string, code: number): Reason => {
  // The table's own keys.
  const reasons = Object.keys(reasonCodes) as ReadonlyArray<Reason>
  const known = reasons.filter((one) => reasonCodes[one] === code)
  return known.find((one) => one === reason) ?? known[0] ?? (code < 500 ? "BadRequest" : "InternalError")
}
