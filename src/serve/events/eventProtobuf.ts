/**
 * Events in protobuf, as client-go sends them in either API version, and what it sends along with a deletion.
 *
 * @source https://github.com/kubernetes/api/blob/v0.35.0/events/v1/generated.proto
 * @source https://github.com/kubernetes/api/blob/v0.35.0/core/v1/generated.proto
 * @source https://github.com/kubernetes/apimachinery/blob/v0.35.0/pkg/apis/meta/v1/generated.proto
 */
import { Effect } from "effect"
import { eventsGroup, eventsResource } from "../../contracts/eventsApis.ts"
import type { Call } from "../http/Call.ts"
import {
  flag,
  list,
  type Message,
  object,
  objectFromProtobuf,
  protobufType,
  text,
  texts,
  time,
  whole
} from "../http/protobuf.ts"
import { mediaType } from "../objects/objectBody.ts"

/** A call whose body is JSON, whatever form it was sent in. */
export const inJson = (call: Call, group: string): Call =>
  mediaType(call) === protobufType
    ? {
        ...call,
        header: (name) => (name === "content-type" ? "application/json" : call.header(name)),
        body: Effect.flatMap(call.body, (bytes) =>
          bytes.length === 0
            ? Effect.succeed(bytes)
            : Effect.map(objectFromProtobuf(bytes, messageOf(group)), (body) => Buffer.from(JSON.stringify(body)))
        )
      }
    : call

const messageOf =
  (group: string) =>
  (kind: string): Message | undefined =>
    kind === eventsResource.kind
      ? group === eventsGroup
        ? newEvent
        : coreEvent
      : kind === "DeleteOptions"
        ? deleteOptions
        : undefined

const ownerReference: Message = new Map([
  [1, ["kind", text]],
  [3, ["name", text]],
  [4, ["uid", text]],
  [5, ["apiVersion", text]],
  [6, ["controller", flag]],
  [7, ["blockOwnerDeletion", flag]]
])

// Without managedFields, which nobody keeps here.
const metadata: Message = new Map([
  [1, ["name", text]],
  [2, ["generateName", text]],
  [3, ["namespace", text]],
  [5, ["uid", text]],
  [6, ["resourceVersion", text]],
  [7, ["generation", whole]],
  [8, ["creationTimestamp", time]],
  [9, ["deletionTimestamp", time]],
  [10, ["deletionGracePeriodSeconds", whole]],
  [11, ["labels", texts]],
  [12, ["annotations", texts]],
  [13, ["ownerReferences", list(object(ownerReference))]],
  [14, ["finalizers", list(text)]]
])

const reference: Message = new Map([
  [1, ["kind", text]],
  [2, ["namespace", text]],
  [3, ["name", text]],
  [4, ["uid", text]],
  [5, ["apiVersion", text]],
  [6, ["resourceVersion", text]],
  [7, ["fieldPath", text]]
])

const source: Message = new Map([
  [1, ["component", text]],
  [2, ["host", text]]
])

const series: Message = new Map([
  [1, ["count", whole]],
  [2, ["lastObservedTime", time]]
])

const newEvent: Message = new Map([
  [1, ["metadata", object(metadata)]],
  [2, ["eventTime", time]],
  [3, ["series", object(series)]],
  [4, ["reportingController", text]],
  [5, ["reportingInstance", text]],
  [6, ["action", text]],
  [7, ["reason", text]],
  [8, ["regarding", object(reference)]],
  [9, ["related", object(reference)]],
  [10, ["note", text]],
  [11, ["type", text]],
  [12, ["deprecatedSource", object(source)]],
  [13, ["deprecatedFirstTimestamp", time]],
  [14, ["deprecatedLastTimestamp", time]],
  [15, ["deprecatedCount", whole]]
])

const coreEvent: Message = new Map([
  [1, ["metadata", object(metadata)]],
  [2, ["involvedObject", object(reference)]],
  [3, ["reason", text]],
  [4, ["message", text]],
  [5, ["source", object(source)]],
  [6, ["firstTimestamp", time]],
  [7, ["lastTimestamp", time]],
  [8, ["count", whole]],
  [9, ["type", text]],
  [10, ["eventTime", time]],
  [11, ["series", object(series)]],
  [12, ["action", text]],
  [13, ["related", object(reference)]],
  [14, ["reportingComponent", text]],
  [15, ["reportingInstance", text]]
])

const preconditions: Message = new Map([
  [1, ["uid", text]],
  [2, ["resourceVersion", text]]
])

const deleteOptions: Message = new Map([
  [1, ["gracePeriodSeconds", whole]],
  [2, ["preconditions", object(preconditions)]],
  [3, ["orphanDependents", flag]],
  [4, ["propagationPolicy", text]],
  [5, ["dryRun", list(text)]]
])
