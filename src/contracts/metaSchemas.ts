/** Definitions of meta/v1 that our documents refer to, under the names that Kubernetes itself uses. */
import { type JsonSchema, list, listByKey, object, text, texts, time, whole } from "./JsonSchema.ts"

const prefix = "io.k8s.apimachinery.pkg.apis.meta.v1."

export const metaReference = (
  name: "ObjectMeta" | "ListMeta" | "Status" | "DeleteOptions" | "WatchEvent"
): JsonSchema => ({
  $ref: `#/components/schemas/${prefix}${name}`
})

const ownerReference = object(
  "OwnerReference names an object that this one depends on.",
  {
    apiVersion: text("API version of the referent."),
    kind: text("Kind of the referent."),
    name: text("Name of the referent."),
    uid: text("UID of the referent."),
    controller: { type: "boolean", description: "If true, this reference points to the managing controller." },
    blockOwnerDeletion: {
      type: "boolean",
      description: "If true, the owner cannot be deleted from the key-value store until this reference is removed."
    }
  },
  ["apiVersion", "kind", "name", "uid"]
)

const managedFieldsEntry = object(
  "ManagedFieldsEntry names a manager, and the fields that it set. This server keeps none.",
  {
    apiVersion: text("Version of this resource that this field set applies to."),
    fieldsType: text("Format of the set of fields: FieldsV1."),
    fieldsV1: {
      type: "object",
      description: "The set of fields, in the first JSON format.",
      "x-kubernetes-preserve-unknown-fields": true
    },
    manager: text("Name of the program that set these fields."),
    operation: text("How they were set: Apply or Update."),
    subresource: text("Name of the subresource used to update that object."),
    time: time("Timestamp of when the entry was added.")
  }
)

export const objectMeta = object("ObjectMeta is metadata that all persisted resources must have.", {
  annotations: texts("Unstructured key value map that may be set by external tools."),
  creationTimestamp: time("Time when this object was created on the server."),
  deletionGracePeriodSeconds: whole("Seconds allowed for this object to gracefully terminate."),
  deletionTimestamp: time("Time at which this resource will be deleted."),
  finalizers: {
    type: "array",
    description: "Must be empty before the object is deleted from the registry.",
    items: { type: "string", default: "" },
    "x-kubernetes-list-type": "set"
  },
  generateName: text("Prefix of a name that the server makes, used only if the name is not given."),
  generation: whole("Number of the spec's present state: counts from 1, and grows with each change of it."),
  labels: texts("Map of string keys and values that can be used to organize and select objects."),
  managedFields: list("Which program set which fields.", managedFieldsEntry),
  name: text("Name must be unique within a namespace."),
  namespace: text("Namespace defines the space within which each name must be unique."),
  ownerReferences: listByKey(
    "Objects that this one depends on: it is deleted when they are all gone.",
    "uid",
    ownerReference
  ),
  resourceVersion: text(
    "Changes whenever the object does: watches resume from it, and a write that carries it is refused when it is old."
  ),
  selfLink: text("Deprecated: no longer populated by the system."),
  uid: text("Unique in time and space value for this object.")
})

const listMeta = object("ListMeta describes metadata that synthetic resources must have.", {
  continue: text("Token for the next page; empty on the last."),
  remainingItemCount: whole("Number of subsequent items in the list which are not in this answer."),
  resourceVersion: text("Version of this list, from which a watch may start."),
  selfLink: text("Deprecated: no longer populated by the system.")
})

const status = object("Status is a return value for calls that don't return other objects.", {
  apiVersion: text("Versioned schema of this representation of an object."),
  kind: text("REST resource this object represents."),
  metadata: metaReference("ListMeta"),
  status: text("Success or Failure."),
  message: text("A human-readable description of the status of this operation."),
  reason: text("A machine-readable description of why this operation is in Failure."),
  details: {
    type: "object",
    description: "Extended data associated with the reason.",
    "x-kubernetes-preserve-unknown-fields": true
  },
  code: whole("Suggested HTTP return code for this status.", "int32")
})

const deleteOptions = object("DeleteOptions may be provided when deleting an API object.", {
  apiVersion: text("Versioned schema of this representation of an object."),
  kind: text("REST resource this object represents."),
  dryRun: list("`All` processes all dry run stages and persists nothing.", { type: "string", default: "" }),
  gracePeriodSeconds: whole("The duration in seconds before the object should be deleted."),
  orphanDependents: { type: "boolean", description: "Deprecated: please use propagationPolicy." },
  preconditions: object("Must be fulfilled before a deletion is carried out; else 409.", {
    resourceVersion: text("The target's resourceVersion."),
    uid: text("The target's UID.")
  }),
  propagationPolicy: text("Whether and how garbage collection will be performed.")
})

const watchEvent = object(
  "Event represents a single event to a watched resource.",
  {
    type: text("ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."),
    object: {
      type: "object",
      description: "The object, or the Status of an ERROR.",
      "x-kubernetes-preserve-unknown-fields": true
    }
  },
  ["type", "object"]
)

/** Named as `components/schemas` wants them. */
export const metaSchemas: Readonly<Record<string, JsonSchema>> = {
  [`${prefix}ObjectMeta`]: objectMeta,
  [`${prefix}ListMeta`]: listMeta,
  [`${prefix}Status`]: status,
  [`${prefix}DeleteOptions`]: deleteOptions,
  [`${prefix}WatchEvent`]: watchEvent
}
