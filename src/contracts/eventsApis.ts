/** Kubernetes Events as Kubernetes itself serves them, in both of its API versions: for proxies, and standalone. */
import type { Resource } from "./resources.ts"

export const eventsGroup = "events.k8s.io"

/** The core group, "", is at `/api`, every other one at `/apis`. */
export const eventsApis = [
  { group: "", version: "v1" },
  { group: eventsGroup, version: "v1" }
] as const

/**
 * Not one of `resources`: those are what is registered behind a kube-apiserver, which has Events of its own, and whose
 * OpenAPI document takes a kind from one server only.
 */
export const eventsResource: Resource = {
  plural: "events",
  singular: "event",
  kind: "Event",
  shortNames: ["ev"],
  categories: [],
  namespaced: true,
  verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
  subresources: {},
  description: "Event is what a component of a cluster has to say about an object.",
  properties: {}
}
