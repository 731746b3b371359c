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
  (line) =>
    line.includes('"resource":"configmaps"') &&
    line.includes('"username":"bob@example.com"') &&
    line.includes('"verb":"create"')
)
if (template === undefined) throw new Error("the recorded data holds no ConfigMap that bob created")
const recorded: RecordedCreate = JSON.parse(template)

/** What is replaced of it. */
interface RecordedCreate {
  readonly objectRef: object
  readonly requestObject: object
  readonly responseObject: { readonly metadata: object }
}

/** The JSON text of a record: everything as recorded except its identity, its times and the name of what it created. */
export const recordText = ({ auditID, name, receivedMillis }: MadeRecord): string => {
  const received = new Date(receivedMillis).toISOString()
  const metadata = { name, namespace: madeNamespace }
  return JSON.stringify({
    ...recorded,
    auditID,
    requestURI: `/api/v1/namespaces/${madeNamespace}/configmaps?fieldManager=kubectl-create&fieldValidation=Strict`,
    requestReceivedTimestamp: received.replace("Z", "000Z"),
    stageTimestamp: received.replace("Z", "500Z"),
    objectRef: { ...recorded.objectRef, ...metadata },
    requestObject: { ...recorded.requestObject, metadata },
    responseObject: {
      ...recorded.responseObject,
      metadata: {
        ...recorded.responseObject.metadata,
        ...metadata,
        uid: randomUUID(),
        creationTimestamp: `${received.slice(0, 19)}Z`
      }
    }
  })
}

/** `count` records received now, of ConfigMaps `<prefix>-<n>` with n from `from` on. */
export const madeRecords = (prefix: string, count: number, from = 0): ReadonlyArray<MadeRecord> =>
  Array.from({ length: count }, (_, index) => ({
    auditID: randomUUID(),
    name: `${prefix}-${from + index}`,
    receivedMillis: Date.now()
  }))
