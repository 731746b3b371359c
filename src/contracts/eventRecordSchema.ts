/** What an EventRecord holds: a Kubernetes Event of events.k8s.io/v1, as it was last seen. */
import { type JsonSchema, object, text, time, whole } from "./JsonSchema.ts"
import { metaReference } from "./metaSchemas.ts"

const reference = (description: string): JsonSchema =>
  object(description, {
    apiVersion: text("API version of the object, with its group, such as apps/v1."),
    kind: text("Kind of the object, such as Pod."),
    namespace: text("Namespace of the object; empty when it is cluster-scoped."),
    name: text("Name of the object."),
    uid: text("UID of the object."),
    resourceVersion: text("Which version of the object it is about, where the reporter said so."),
    fieldPath: text("The part of the object that it is about, such as spec.containers{nginx}.")
  })

export const eventRecordSchemas = {
  event: object("The Event, of events.k8s.io/v1. Fields that are empty are left out.", {
    apiVersion: text("events.k8s.io/v1."),
    kind: text("Event."),
    metadata: {
      allOf: [metaReference("ObjectMeta")],
      description: "The Event's own metadata, with the resourceVersion that its cluster gave it."
    },
    eventTime: time("When it was first seen, to the microsecond; absent for Events of older reporters."),
    series: object("How it went on; absent where it was seen once, and for Events of older reporters.", {
      count: whole("How often it was seen.", "int32"),
      lastObservedTime: time("When it was last seen.")
    }),
    reportingController: text("The controller that reported it, such as kubernetes.io/kubelet."),
    reportingInstance: text("Which of the controller's instances reported it, such as kubelet-node-1."),
    action: text("What was done, or failed, such as Binding."),
    reason: text("Why, in one word, such as FailedScheduling."),
    regarding: reference("The object that it is about."),
    related: reference("Another object that it is about, where there is one."),
    note: text("What happened, in words. The query parameter search looks for words in it."),
    type: text("Normal or Warning."),
    deprecatedSource: object("Who reported it, of Events of older reporters.", {
      component: text("The component that reported it."),
      host: text("The node that it was reported from.")
    }),
    deprecatedFirstTimestamp: time("When it was first seen, of Events of older reporters."),
    deprecatedLastTimestamp: time("When it was last seen, of Events of older reporters."),
    deprecatedCount: whole("How often it was seen, of Events of older reporters.", "int32")
  })
} satisfies Readonly<Record<string, JsonSchema>>
