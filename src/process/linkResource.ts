/** The object that a link() call pointed at, as far as its reference tells. */
import type { ActivityResource } from "../domain/Activity.ts"
import { isJsonObject, type Json, type JsonObject, objectAt, textAt } from "../domain/AuditRecord.ts"
import { builtInKind } from "./kinds.ts"

/**
 * References are Kubernetes objects, objectRefs, Events' references or `actorRef`. One that names no object of its own
 * (a Status, a list, an empty object, the Scale of the object itself) means the activity's resource.
 */
export const linkResource = (reference: unknown, own: ActivityResource, ownResourceName: string): ActivityResource => {
  // Values in rules come from JSON or from rules' own map literals.
  const object = reference as Json
  if (!isJsonObject(object)) return own
  const metadata = objectAt(object, "metadata")
  const either = (name: string): string => textAt(object, name) || textAt(metadata, name)
  const name = either("name")
  const kind = textAt(object, "kind")
  if (name === "" || kind === "Status" || Array.isArray(object["items"])) return own
  if (kind !== "" && kind !== own.kind && name === own.name && kind === "Scale") return own
  const { apiGroup, apiVersion } = groupAndVersion(object)
  const resource = textAt(object, "resource")
  if (kind === "" && resource === ownResourceName && name === own.name) return own
  const uid = either("uid")
  const namespace = either("namespace")
  return {
    ...(apiGroup === "" ? {} : { apiGroup }),
    ...(apiVersion === "" ? {} : { apiVersion }),
    kind: kind || (resource === "" ? "" : (builtInKind(apiGroup, resource) ?? resource)) || textAt(object, "type"),
    name,
    ...(namespace === "" ? {} : { namespace }),
    ...(uid === "" ? {} : { uid })
  }
}

const groupAndVersion = (object: JsonObject): { readonly apiGroup: string; readonly apiVersion: string } => {
  const text = textAt(object, "apiVersion")
  const slash = text.indexOf("/")
  return {
    apiGroup: textAt(object, "apiGroup") || (slash < 0 ? "" : text.slice(0, slash)),
    apiVersion: text.slice(slash + 1)
  }
}
