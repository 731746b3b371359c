import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Exit } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { User } from "../../../src/serve/auth/Authenticator.ts"
import { type Attributes, Authorizer } from "../../../src/serve/auth/Authorizer.ts"
import { rolesFileLayer } from "../../../src/serve/auth/rolesFile.ts"
import { type TemporaryFolder, temporaryFolder } from "../../support/temporaryFolder.ts"

const roles = `
kind: ClusterRole
metadata: { name: reader }
rules:
  - { apiGroups: [g], resources: [things, "*/status"], verbs: [get, list] }
  - { apiGroups: [g], resources: [things/scale], verbs: ["*"] }
  - { apiGroups: [g], resources: [scopes], verbs: [get], resourceNames: [platform] }
  - { nonResourceURLs: ["/metrics", "/logs/*"], verbs: [get] }
---
kind: Role
metadata: { name: writer, namespace: one }
rules: [{ apiGroups: ["*"], resources: ["*"], verbs: [create] }]
---
kind: ClusterRoleBinding
metadata: { name: readers }
roleRef: { kind: ClusterRole, name: reader }
subjects: [{ kind: Group, name: readers }]
---
kind: RoleBinding
metadata: { name: writers, namespace: one }
roleRef: { kind: Role, name: writer }
subjects: [{ kind: User, name: alice }, { kind: ServiceAccount, name: robot, namespace: two }]
---
kind: RoleBinding
metadata: { name: readers-in-two, namespace: two }
roleRef: { kind: ClusterRole, name: reader }
subjects: [{ kind: User, name: alice }]
---
kind: ClusterRoleBinding
metadata: { name: dangling }
roleRef: { kind: ClusterRole, name: missing }
subjects: [{ kind: User, name: alice }]
`

const user = (name: string, ...groups: ReadonlyArray<string>): User => ({ name, uid: "", groups, extra: {} })
const asks = (
  verb: string,
  resource: string,
  more: Partial<Extract<Attributes, { _tag: "Resource" }>> = {}
): Attributes => ({
  _tag: "Resource",
  verb,
  group: "g",
  version: "v1",
  resource,
  subresource: "",
  namespace: "",
  name: "",
  ...more
})

describe("the roles file", () => {
  let folder: TemporaryFolder
  let allows: (who: User, what: Attributes) => Promise<boolean>
  beforeAll(async () => {
    folder = await temporaryFolder("roles")
    const path = join(folder.path, "roles.yaml")
    writeFileSync(path, roles)
    allows = (who, what) =>
      Effect.runPromise(
        Authorizer.use((authorizer) => authorizer.allows(who, what)).pipe(Effect.provide(rolesFileLayer(path)))
      )
  })
  afterAll(() => folder.remove())

  const reader = user("r", "readers")
  const alice = user("alice")
  it.each<[string, User, Attributes, boolean]>([
    ["a rule's verb and resource", reader, asks("get", "things"), true],
    ["in any namespace by a ClusterRoleBinding", reader, asks("list", "things", { namespace: "x" }), true],
    ["another verb", reader, asks("delete", "things"), false],
    ["another group", reader, asks("get", "things", { group: "h" }), false],
    ["a resource is not its subresources", reader, asks("get", "things", { subresource: "logs" }), false],
    ["*/status is every resource's status", reader, asks("get", "others", { subresource: "status" }), true],
    ["a named subresource", reader, asks("patch", "things", { subresource: "scale" }), true],
    ["a subresource is not its resource", reader, asks("patch", "things"), false],
    ["a resource name", reader, asks("get", "scopes", { name: "platform" }), true],
    ["another resource name", reader, asks("get", "scopes", { name: "group:x" }), false],
    ["no name is not a resource name", reader, asks("get", "scopes"), false],
    ["a path", reader, { _tag: "Path", verb: "get", path: "/metrics" }, true],
    ["a path below a star", reader, { _tag: "Path", verb: "get", path: "/logs/a/b" }, true],
    ["another path", reader, { _tag: "Path", verb: "get", path: "/metrics/x" }, false],
    ["a Role in its namespace", alice, asks("create", "anything", { namespace: "one" }), true],
    ["a Role in another namespace", alice, asks("create", "anything", { namespace: "two" }), false],
    ["a Role at the cluster scope", alice, asks("create", "anything"), false],
    ["a ClusterRole bound in a namespace", alice, asks("get", "things", { namespace: "two" }), true],
    [
      "a ClusterRole bound in a namespace opens no paths",
      alice,
      { _tag: "Path", verb: "get", path: "/metrics" },
      false
    ],
    [
      "a service account by its user name",
      user("system:serviceaccount:two:robot"),
      asks("create", "x", { namespace: "one" }),
      true
    ],
    ["nobody", user("nobody"), asks("get", "things"), false],
    ["masters may everything", user("m", "system:masters"), asks("delete", "everything"), true]
  ])("%s", async (_, who, what, expected) => {
    expect(await allows(who, what)).toBe(expected)
  })

  it.each([
    ["no RBAC object", "kind: Pod\nmetadata: { name: x }"],
    ["no YAML", "a: ["],
    [
      "a RoleBinding without namespace",
      "kind: RoleBinding\nmetadata: { name: x }\nroleRef: { kind: Role, name: y }\nsubjects: []"
    ]
  ])("%s stops the start with a sentence", async (_, text) => {
    const path = join(folder.path, "wrong.yaml")
    writeFileSync(path, text)
    const exit = await Effect.runPromiseExit(
      Authorizer.use(() => Effect.void).pipe(Effect.provide(rolesFileLayer(path)))
    )
    expect(Exit.isFailure(exit) && String(exit.cause)).toContain("StartRefused")
  })
})
