/**
 * What the cluster's API server says of a record, as it is said of the object that it keeps.
 *
 * A name is rewritten where the structure says that it is one: in `details`, at the beginning of a message, and where a
 * conflict says which version a manager used. The rest is somebody's text.
 */
import { isJsonObject, type Json, objectAt, textAt } from "../../domain/AuditRecord.ts"
import type { KeptObject } from "../../domain/KeptObject.ts"
import { type ApiFailure, failure, type Reason, reasonCodes, type StatusDetails } from "../ApiFailure.ts"
import type { KeptKind } from "./KeptKind.ts"

/** What the cluster's API server says, as it is said of one kind of objects. */
export interface RecordStatus {
  /** @param version of the client's request, such as `v1` */
  readonly failureFrom: (code: number, status: Json | undefined, version: string) => ApiFailure
}

export const recordStatus = <A extends KeptObject>({ names, records }: KeptKind<A>): RecordStatus => {
  const namesOfObjects: Readonly<Record<string, string>> = {
    [records.plural]: names.plural,
    [records.kind]: names.kind
  }
  const group = records.group.replaceAll(".", "\\.")
  /** This server's own rights, not the client's. */
  const ownRights = new RegExp(`^${records.plural}\\.\\S+ .*is forbidden: User "`)
  const named = new RegExp(
    `^((?:Operation cannot be fulfilled on )?)(${records.plural}|${records.kind})\\.${group} (?=")`
  )
  const decoded = new RegExp(
    `^${records.kind} in version "${records.version}" cannot be handled as a ${records.kind}: `
  )
  /** `conflict with "kubectl" using storage.activity.miloapis.com/v1alpha1 at 2026-11-21T…`, or a line for each manager. */
  const usedVersion = new RegExp(
    `((?:^|: )conflicts? with "(?:[^"\\\\]|\\\\.)*"(?: with subresource "[^"]*")? using )${group}/${records.version}`,
    "gm"
  )
  const objectMessage = (message: string, version: string): string =>
    message
      .replace(named, (_, before: string, name: string) => `${before}${namesOfObjects[name]}.${names.group} `)
      .replace(decoded, `${names.kind} in version "${version}" cannot be handled as a ${names.kind}: `)
  const conflictMessage = (message: string, version: string): string =>
    message.replaceAll(usedVersion, (_, before: string) => `${before}${names.group}/${version}`)

  return {
    failureFrom: (code, status, version) => {
      if (!isJsonObject(status) || status["kind"] !== "Status") {
        return failure(reasonFrom("", code), `the cluster's API server answered ${code}`)
      }
      const message = textAt(status, "message")
      if (code === 401 || (code === 403 && ownRights.test(message))) {
        return failure("InternalError", `the cluster does not let this server keep ${names.plural}: ${message}`)
      }
      const reason = reasonFrom(textAt(status, "reason"), code)
      const found = objectAt(status, "details")
      if (found === undefined) return failure(reason, objectMessage(message, version))
      // The server's own, which has the same shape.
      const details = found as StatusDetails
      const causes = details.causes?.map((cause) =>
        cause.reason === fieldManagerConflict ? { ...cause, message: conflictMessage(cause.message, version) } : cause
      )
      return failure(
        reason,
        causes?.some((cause) => cause.reason === fieldManagerConflict)
          ? conflictMessage(message, version)
          : objectMessage(message, version),
        {
          ...details,
          ...(details.group === records.group ? { group: names.group } : {}),
          ...(details.kind === undefined ? {} : { kind: namesOfObjects[details.kind] ?? details.kind }),
          ...(causes === undefined ? {} : { causes })
        }
      )
    }
  }
}

/** Another write came between, or may have: neither the client's version nor another manager's fields stand against it. */
export const isRace = (error: ApiFailure): boolean => {
  // Made by failureFrom.
  const { causes = [] } = (error.details ?? {}) as StatusDetails
  return error.reason === "Conflict" && !causes.some(({ reason }) => reason === fieldManagerConflict)
}

const fieldManagerConflict = "FieldManagerConflict"

const reasonFrom = (reason: string, code: number): Reason => {
  // The table's own keys.
  const reasons = Object.keys(reasonCodes) as ReadonlyArray<Reason>
  const known = reasons.filter((one) => reasonCodes[one] === code)
  return known.find((one) => one === reason) ?? known[0] ?? (code < 500 ? "BadRequest" : "InternalError")
}
