/** What a policy is tried on: records and Events as they are given, completed where people leave things out. */
import { Result } from "effect"
import { isJsonObject, type Json, type JsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { timestampText } from "../../domain/instant.ts"
import type { Tenant } from "../../domain/Tenant.ts"
import { auditRecordFromBody } from "../../normalise/auditRecordFrom.ts"
import { kubernetesEventFrom } from "../../normalise/kubernetesEventFrom.ts"
import type { Unreadable } from "../../normalise/Unreadable.ts"
import type { Preview, Previewed } from "../../process/Preview.ts"

/** As a body has it, and as it is served. */
export interface PreviewInput {
  readonly type?: string
  readonly audit?: JsonObject
  readonly event?: JsonObject
}

export interface InputOrigin {
  readonly cluster: string
  /** Of inputs that name none. */
  readonly tenant: Tenant
  /** Microseconds since 1970: when an input happened that does not say it. */
  readonly now: bigint
}

/** The failure is a sentence: the input is no record, or no Event. */
export const previewedInput = (
  { audit = {}, event = {}, type }: PreviewInput,
  index: number,
  preview: Preview,
  origin: InputOrigin
): Result.Result<Previewed, string> => {
  const read =
    type === "event"
      ? Result.map(kubernetesEventFrom(completedEvent(event, index, origin), origin), preview.ofEvent)
      : recordFrom(completedRecord(audit, index, origin), origin, preview)
  return Result.mapError(read, sentenceFrom)
}

const recordFrom = (body: JsonObject, origin: InputOrigin, preview: Preview) =>
  Result.map(
    auditRecordFromBody(JSON.stringify(body), body, { cluster: origin.cluster, defaultTenant: origin.tenant }),
    preview.ofAudit
  )

export const sentenceFrom = ({ field, reason }: Unreadable): string => (field === "" ? reason : `${field}: ${reason}`)

/** People write what their rules look at, and encoders of Go write the rest as empty. */
const completedRecord = (body: JsonObject, index: number, { now }: InputOrigin): JsonObject => {
  const time = timestampText(now)
  const timed = !isAbsent(body["requestReceivedTimestamp"]) || !isAbsent(body["stageTimestamp"])
  return {
    ...body,
    ...(isAbsent(body["auditID"]) ? { auditID: madeId(index) } : {}),
    ...(isAbsent(body["stage"]) ? { stage: "ResponseComplete" } : {}),
    ...(isAbsent(body["requestURI"]) ? { requestURI: "/" } : {}),
    ...(timed ? {} : { requestReceivedTimestamp: time, stageTimestamp: time }),
    ...(isAbsent(body["responseStatus"]) ? { responseStatus: { code: 200 } } : {})
  }
}

const completedEvent = (body: JsonObject, index: number, { now }: InputOrigin): JsonObject => {
  const metadata = objectAt(body, "metadata") ?? {}
  return {
    ...body,
    metadata: {
      ...metadata,
      ...(textAt(metadata, "uid") === "" ? { uid: madeId(index) } : {}),
      ...(textAt(metadata, "creationTimestamp") === "" ? { creationTimestamp: timestampText(now) } : {})
    }
  }
}

const madeId = (index: number): string => `preview-${index}`

const isAbsent = (value: Json | undefined): boolean =>
  value === undefined || value === null || value === "" || (isJsonObject(value) && Object.keys(value).length === 0)
