/** Who did it, and whether a person or the system: seed 001, "Actor Resolution" and "Change Source Classification". */
import type { ActivityActor, ActorType } from "../domain/Activity.ts"
import { type AuditRecord, type JsonObject, objectAt, textAt } from "../domain/AuditRecord.ts"
import type { KubernetesEvent } from "../domain/KubernetesEvent.ts"

export interface ResolvedActor {
  readonly actor: ActivityActor
  /** What rules show as `actor`: the display name where the authenticator gave one, else the name. */
  readonly displayName: string
}

export type ChangeSource = "human" | "system"

const displayNameKey = "activity.miloapis.com/display-name"
const changeSourceKey = "activity.miloapis.com/change-source"
const actorAnnotation = (name: string): string => `activity.miloapis.com/actor-${name}`

/** The type of a user name, as Kubernetes builds them. */
export const actorTypeFrom = (username: string): ActorType => {
  if (username === "") return "unknown"
  if (!username.startsWith("system:")) return "user"
  if (username.startsWith("system:serviceaccount:")) return "serviceaccount"
  return username.startsWith("system:kube-") ? "controller" : "system"
}

/** The whole user name stays the actor's name: it is what people filter by. */
export const auditActor = (record: AuditRecord): ResolvedActor => {
  const { username, uid } = record.user
  const actor = actorOf(actorTypeFrom(username), username === "" ? "unknown" : username, uid, emailFrom(username))
  const extra = objectAt(objectAt(record.body, "user"), "extra")
  return { actor, displayName: displayNameFrom(extra) ?? actor.name }
}

/** An Event's annotations name its actor; else it is the controller that reported it. */
export const eventActor = (event: KubernetesEvent): ResolvedActor => {
  const annotations = objectAt(objectAt(event.body, "metadata"), "annotations")
  const annotated = (name: string): string => textAt(annotations, actorAnnotation(name))
  const name = annotated("name")
  const controller = event.reportingController
  const actor = actorOf(
    annotated("type") || (name !== "" ? actorTypeFrom(name) : controller === "" ? "unknown" : "controller"),
    name || controller || "unknown",
    annotated("uid"),
    annotated("email") || emailFrom(name)
  )
  return { actor, displayName: actor.name }
}

/** Rules 1 to 4: the record's own annotation, then the user name. */
export const auditChangeSource = (record: AuditRecord): ChangeSource =>
  annotatedChangeSource(objectAt(record.body, "annotations")) ??
  (record.user.username.startsWith("system:") ? "system" : "human")

/** Rules 1 and 5. */
export const eventChangeSource = (event: KubernetesEvent): ChangeSource =>
  annotatedChangeSource(objectAt(objectAt(event.body, "metadata"), "annotations")) ?? "system"

/** Only these two words count. The changed object's own annotations never do: whoever changes it may write them. */
const annotatedChangeSource = (annotations: JsonObject | undefined): ChangeSource | undefined => {
  const value = textAt(annotations, changeSourceKey)
  return value === "human" || value === "system" ? value : undefined
}

const displayNameFrom = (extra: JsonObject | undefined): string | undefined => {
  const values = extra !== undefined && Object.hasOwn(extra, displayNameKey) ? extra[displayNameKey] : undefined
  const first = Array.isArray(values) ? values[0] : values
  return typeof first === "string" && first.trim() !== "" ? first.trim() : undefined
}

const emailFrom = (name: string): string => (name.includes("@") ? name : "")

const actorOf = (type: string, name: string, uid: string, email: string): ActivityActor => ({
  type,
  name,
  ...(uid === "" ? {} : { uid }),
  ...(email === "" ? {} : { email })
})
