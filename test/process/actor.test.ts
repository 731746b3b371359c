/** The tables "Change Source Classification" and "Actor Resolution" of seed 001, row by row. */
import { assert, describe, it } from "@effect/vitest"
import type { Json } from "../../src/domain/AuditRecord.ts"
import { auditActor, auditChangeSource, eventActor, eventChangeSource } from "../../src/process/actor.ts"
import { event, record } from "./scenarios.ts"

const by = (username: string, annotations: { readonly [name: string]: Json } = {}) =>
  record({ user: { username, uid: "u1" }, annotations })

const annotated = (annotations: { readonly [name: string]: Json }) =>
  event({ metadata: { uid: "e1", creationTimestamp: "2026-11-20T15:07:46Z", annotations } })

const changeSource = "activity.miloapis.com/change-source"

describe("change source", () => {
  it("1: the annotation of the record or the Event comes first", () => {
    assert.strictEqual(auditChangeSource(by("alice@example.com", { [changeSource]: "system" })), "system")
    assert.strictEqual(auditChangeSource(by("system:serviceaccount:ci:robot", { [changeSource]: "human" })), "human")
    assert.strictEqual(eventChangeSource(annotated({ [changeSource]: "human" })), "human")
  })

  it("1: only `human` and `system` count", () => {
    for (const value of ["", "Human", "robot", 5, null, ["human"]]) {
      assert.strictEqual(auditChangeSource(by("system:admin", { [changeSource]: value })), "system")
      assert.strictEqual(auditChangeSource(by("alice@example.com", { [changeSource]: value })), "human")
      assert.strictEqual(eventChangeSource(annotated({ [changeSource]: value })), "system")
    }
  })

  it("1: the changed object's own annotation does not count", () => {
    const object = {
      kind: "Deployment",
      apiVersion: "apps/v1",
      metadata: { name: "web", annotations: { [changeSource]: "system" } }
    }
    assert.strictEqual(auditChangeSource(record({ requestObject: object, responseObject: object })), "human")
  })

  it("2: service accounts of kube-system are the system", () => {
    assert.strictEqual(auditChangeSource(by("system:serviceaccount:kube-system:job-controller")), "system")
  })

  it("3: every other system:* is the system", () => {
    for (const username of ["system:node:node-1", "system:serviceaccount:default:my-sa", "system:anonymous"]) {
      assert.strictEqual(auditChangeSource(by(username)), "system")
    }
  })

  it("4: other users of audit records are human", () => {
    for (const username of ["alice@example.com", "kubernetes-admin", "systematic"]) {
      assert.strictEqual(auditChangeSource(by(username)), "human")
    }
  })

  it("5: Events are the system", () => {
    assert.strictEqual(eventChangeSource(event()), "system")
  })
})

describe("the actor of an audit record", () => {
  it("has a type by its name, and its whole name", () => {
    for (const [username, type] of [
      ["alice@example.com", "user"],
      ["kubernetes-admin", "user"],
      ["system:serviceaccount:default:my-sa", "serviceaccount"],
      ["system:serviceaccount:kube-system:deployment-controller", "serviceaccount"],
      ["system:kube-controller-manager", "controller"],
      ["system:kube-scheduler", "controller"],
      ["system:node:node-1", "system"],
      ["system:apiserver", "system"],
      ["system:anonymous", "system"]
    ] as const) {
      const { actor, displayName } = auditActor(by(username))
      assert.deepStrictEqual([actor.type, actor.name, actor.uid], [type, username, "u1"])
      assert.strictEqual(displayName, username)
    }
  })

  it("without a name is unknown", () => {
    assert.deepStrictEqual(auditActor(record({ user: {} })), {
      actor: { type: "unknown", name: "unknown" },
      displayName: "unknown"
    })
  })

  it("has an email when its name is one", () => {
    assert.strictEqual(auditActor(by("alice@example.com")).actor.email, "alice@example.com")
    assert.notProperty(auditActor(by("kubernetes-admin")).actor, "email")
  })

  it("is shown by the name its authenticator gave, and keeps its own", () => {
    const named = (names: Json) =>
      auditActor(
        record({ user: { username: "alice@example.com", extra: { "activity.miloapis.com/display-name": names } } })
      )
    assert.strictEqual(named(["Alice Adams"]).displayName, "Alice Adams")
    assert.strictEqual(named(["Alice Adams"]).actor.name, "alice@example.com")
    for (const wrong of [[], [""], [" "], [5], null]) assert.strictEqual(named(wrong).displayName, "alice@example.com")
    const onObject = { metadata: { annotations: { "activity.miloapis.com/display-name": "Mallory" } } }
    assert.strictEqual(auditActor(record({ responseObject: onObject })).displayName, "alice@example.com")
  })
})

describe("the actor of an Event", () => {
  it("is the controller that reported it", () => {
    assert.deepStrictEqual(eventActor(event()).actor, { type: "controller", name: "deployment-controller" })
    assert.deepStrictEqual(
      eventActor(event({ reportingController: "", deprecatedSource: { component: "kubelet" } })).actor,
      { type: "controller", name: "kubelet" }
    )
    assert.deepStrictEqual(eventActor(event({ reportingController: "", deprecatedSource: {} })).actor, {
      type: "unknown",
      name: "unknown"
    })
  })

  it("is whom its annotations name", () => {
    assert.deepStrictEqual(
      eventActor(
        annotated({
          "activity.miloapis.com/actor-type": "user",
          "activity.miloapis.com/actor-name": "alice@example.com",
          "activity.miloapis.com/actor-uid": "user-1",
          "activity.miloapis.com/actor-email": "a@example.com"
        })
      ).actor,
      { type: "user", name: "alice@example.com", uid: "user-1", email: "a@example.com" }
    )
    assert.deepStrictEqual(eventActor(annotated({ "activity.miloapis.com/actor-name": "alice@example.com" })).actor, {
      type: "user",
      name: "alice@example.com",
      email: "alice@example.com"
    })
    assert.deepStrictEqual(eventActor(annotated({ "activity.miloapis.com/actor-type": "system" })).actor, {
      type: "system",
      name: "deployment-controller"
    })
  })
})
