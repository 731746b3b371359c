/**
 * Authorization by a file of Kubernetes RBAC objects (Role, ClusterRole, RoleBinding, ClusterRoleBinding), evaluated
 * here. Read again when it changes. A binding to a role that is not in the file grants nothing.
 */
import { Effect, Layer, Schema } from "effect"
import type { StartRefused } from "../../runtime/StartRefused.ts"
import type { User } from "./Authenticator.ts"
import { type Attributes, Authorizer, mastersGroup } from "./Authorizer.ts"
import { watchedFile } from "./watchedFile.ts"

const Texts = Schema.optionalKey(Schema.Array(Schema.String))

const Rule = Schema.Struct({
  verbs: Schema.Array(Schema.String),
  apiGroups: Texts,
  resources: Texts,
  resourceNames: Texts,
  nonResourceURLs: Texts
})

const RbacObject = Schema.Struct({
  kind: Schema.Literals(["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"]),
  metadata: Schema.Struct({ name: Schema.String, namespace: Schema.optionalKey(Schema.String) }),
  rules: Schema.optionalKey(Schema.NullOr(Schema.Array(Rule))),
  roleRef: Schema.optionalKey(Schema.Struct({ kind: Schema.String, name: Schema.String })),
  subjects: Schema.optionalKey(
    Schema.Array(
      Schema.Struct({
        kind: Schema.Literals(["User", "Group", "ServiceAccount"]),
        name: Schema.String,
        namespace: Schema.optionalKey(Schema.String)
      })
    )
  )
})

type Rule = typeof Rule.Type
type RbacObject = typeof RbacObject.Type
type Subject = NonNullable<RbacObject["subjects"]>[number]

/** A rule, whom it is for, and where: "" is everywhere. */
interface Grant {
  readonly subjects: ReadonlyArray<Subject>
  readonly rules: ReadonlyArray<Rule>
  readonly namespace: string
}

/** @fails StartRefused when the file cannot be read at start */
export const rolesFileLayer = (path: string): Layer.Layer<Authorizer, StartRefused> =>
  Layer.effect(
    Authorizer,
    Effect.map(watchedFile({ setting: "roles", path, read: grantsFrom }), (grants) =>
      Authorizer.of({
        allows: (user, attributes) =>
          Effect.sync(
            () => user.groups.includes(mastersGroup) || grants().some((grant) => grantAllows(grant, user, attributes))
          )
      })
    )
  )

const decodeObject = Schema.decodeUnknownResult(RbacObject)

const grantsFrom = (documents: ReadonlyArray<unknown>): ReadonlyArray<Grant> =>
  bindingsFrom(documents).flatMap(({ namespace, rules, subjects }) =>
    rules === undefined ? [] : [{ subjects, rules, namespace }]
  )

/**
 * Which bindings grant nothing because their role is not in the file, a sentence for each.
 *
 * @fails StartRefused when the file cannot be read
 */
export const bindingsWithoutRole = (path: string): Effect.Effect<ReadonlyArray<string>, StartRefused> =>
  Effect.scoped(
    Effect.map(watchedFile({ setting: "roles", path, read: bindingsFrom }), (bindings) =>
      bindings().flatMap(({ name, role, rules }) =>
        rules === undefined ? [`${name} grants nothing: ${role} is not in the file`] : []
      )
    )
  )

/** Without rules: the role is not there. */
interface Binding extends Omit<Grant, "rules"> {
  readonly name: string
  readonly role: string
  readonly rules: ReadonlyArray<Rule> | undefined
}

const bindingsFrom = (documents: ReadonlyArray<unknown>): ReadonlyArray<Binding> => {
  const objects = documents.map((document, index) => {
    const decoded = decodeObject(document)
    if (decoded._tag === "Failure")
      throw new Error(`document ${index + 1} is no RBAC object: ${decoded.failure.message}`)
    return decoded.success
  })
  const roles = new Map<string, ReadonlyArray<Rule>>()
  for (const { kind, metadata, rules } of objects) {
    if (kind === "ClusterRole") roles.set(`ClusterRole/${metadata.name}`, rules ?? [])
    if (kind === "Role") roles.set(`Role/${metadata.namespace ?? ""}/${metadata.name}`, rules ?? [])
  }
  return objects.flatMap(({ kind, metadata, roleRef, subjects }) => {
    if (roleRef === undefined || subjects === undefined) return []
    const namespace = kind === "RoleBinding" ? (metadata.namespace ?? "") : ""
    // Without a namespace it would bind everywhere, which a RoleBinding must never do.
    if (kind === "RoleBinding" && namespace === "") throw new Error(`RoleBinding "${metadata.name}" has no namespace`)
    const role = roleRef.kind === "Role" ? `Role/${namespace}/${roleRef.name}` : `ClusterRole/${roleRef.name}`
    return [{ name: `${kind}/${metadata.name}`, subjects, role, rules: roles.get(role), namespace }]
  })
}

const grantAllows = (grant: Grant, user: User, attributes: Attributes): boolean => {
  const reaches = grant.namespace === "" || (attributes._tag === "Resource" && attributes.namespace === grant.namespace)
  return (
    reaches &&
    grant.subjects.some((subject) => isSubject(subject, user)) &&
    grant.rules.some((rule) => ruleAllows(rule, attributes))
  )
}

const isSubject = (subject: Subject, user: User): boolean => {
  switch (subject.kind) {
    case "User":
      return subject.name === user.name
    case "Group":
      return user.groups.includes(subject.name)
    case "ServiceAccount":
      return user.name === `system:serviceaccount:${subject.namespace ?? ""}:${subject.name}`
  }
}

const has = (allowed: ReadonlyArray<string> | undefined, value: string): boolean =>
  allowed !== undefined && (allowed.includes("*") || allowed.includes(value))

const ruleAllows = (rule: Rule, attributes: Attributes): boolean => {
  if (!has(rule.verbs, attributes.verb)) return false
  if (attributes._tag === "Path") {
    return (rule.nonResourceURLs ?? []).some((url) =>
      url.endsWith("*") ? attributes.path.startsWith(url.slice(0, -1)) : url === attributes.path
    )
  }
  const { group, name, resource, subresource } = attributes
  const whole = subresource === "" ? resource : `${resource}/${subresource}`
  const resourceAllowed =
    has(rule.resources, whole) || (subresource !== "" && (rule.resources ?? []).includes(`*/${subresource}`))
  const nameAllowed =
    rule.resourceNames === undefined || rule.resourceNames.length === 0 || rule.resourceNames.includes(name)
  return has(rule.apiGroups, group) && resourceAllowed && nameAllowed
}
