/**
 * Audit records of any number, each made from one that a real cluster wrote: bob's `kubectl create configmap`.
 */
import { randomUUID } from "node:crypto"
import { auditRecordLines } from "./recordedData.ts"

export interface MadeRecord {
  readonly auditID: string
  /** Of the ConfigMap; its namespace is {@link madeNamespace}. */
  readonly name: string
  /** Milliseconds since 1970: when the request was received. */
  readonly receivedMillis: number
}

export const madeNamespace = "made"

const template = auditRecordLines().find(
  (line) => line.includes('"resource":"configmaps"') && line.includes('"username":"bob@example.com"') && line.includes('"verb":"create"')
)
if (template === undefined) throw new Error("the recorded data holds no ConfigMap that bob created")
const recorded: unknown = JSON.parse(template)

/** The JSON text of a record: everything as recorded except its identity, its times and the name of what it created. */
export const recordText = ({ auditID, name, receivedMillis }: MadeRecord): string => {
  // Our own copy of a recorded object, whose fields are known.
  const record = structuredClone(recorded) as any
  const received = new Date(receivedMillis).toISOString()
  record.auditID = auditID
  record.requestURI = `/api/v1/namespaces/${madeNamespace}/configmaps?fieldManager=kubectl-create&fieldValidation=Strict`
  record.requestReceivedTimestamp = received.replace("Z", "000Z")
  record.stageTimestamp = received.replace("Z", "500Z")
  record.objectRef = { ...record.objectRef, name, namespace: madeNamespace }
  record.requestObject.metadata = { name, namespace: madeNamespace }
  record.responseObject.metadata = {
    ...record.responseObject.metadata,
    name,
    namespace: madeNamespace,
    uid: randomUUID(),
    creationTimestamp: `${received.slice(0, 19)}Z`
  }
  return JSON.stringify(record)
}

/** `count` records received now, of ConfigMaps `<prefix>-<n>` with n from `from` on. */
export const madeRecords = (prefix: string, count: number, from = 0): ReadonlyArray<MadeRecord> =>
  Array.from({ length: count }, (_, index) => ({
    auditID: randomUUID(),
    name: `${prefix}-${from + index}`,
    receivedMillis: Date.now()
  }))
