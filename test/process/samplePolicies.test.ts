/** What the sample policies say where the recorded data is silent. */
import { assert, describe, it } from "@effect/vitest"
import type { Json } from "../../src/domain/AuditRecord.ts"
import { event, policySet, record, samplePolicies } from "./scenarios.ts"

const policies = policySet(samplePolicies())

const told = (changes: { readonly [name: string]: Json | undefined }): string => {
  const evaluation = policies.evaluateAudit(record(changes))
  return evaluation._tag === "Matched"
    ? evaluation.activity.spec.summary
    : evaluation._tag === "Failed"
      ? evaluation.cause
      : evaluation.reason
}

const toldOfEvent = (changes: { readonly [name: string]: Json | undefined }): string => {
  const evaluation = policies.evaluateEvent(event(changes), "added")
  return evaluation._tag === "Matched" ? evaluation.activity.spec.summary : evaluation._tag
}

const pod = (subresource: string, changes: { readonly [name: string]: Json | undefined } = {}) => ({
  objectRef: { resource: "pods", subresource, namespace: "team-1", name: "web-0", apiVersion: "v1" },
  requestObject: undefined,
  responseObject: undefined,
  ...changes
})

const deployments = { resource: "deployments", apiGroup: "apps", apiVersion: "v1" }

const scaled = (replicas: number | undefined) => ({
  verb: "patch",
  objectRef: { ...deployments, namespace: "team-1", name: "web", subresource: "scale" },
  responseStatus: { code: 200 },
  responseObject: {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name: "web" },
    spec: replicas === undefined ? {} : { replicas }
  }
})

describe("the sample policies", () => {
  it("tell what is done inside a Pod", () => {
    const ran = "alice@example.com ran a command in Pod web-0 in team-1"
    assert.strictEqual(told(pod("exec", { responseStatus: { code: 101 } })), ran)
    assert.strictEqual(told(pod("exec", { verb: "get", responseStatus: { code: 101 } })), ran)
    assert.strictEqual(told(pod("attach", { responseStatus: { code: 101 } })), ran)
    assert.strictEqual(
      told(pod("portforward", { responseStatus: { code: 101 } })),
      "alice@example.com forwarded a port of Pod web-0 in team-1"
    )
    assert.strictEqual(
      told(
        pod("eviction", { requestObject: { kind: "Eviction", apiVersion: "policy/v1", metadata: { name: "web-0" } } })
      ),
      "alice@example.com evicted Pod web-0 in team-1"
    )
    assert.strictEqual(told(pod("log", { verb: "get", responseStatus: { code: 200 } })), "no_matching_rule")
    assert.strictEqual(told(pod("", { verb: "get", responseStatus: { code: 200 } })), "no_matching_rule")
  })

  it("count replicas", () => {
    assert.strictEqual(told(scaled(5)), "alice@example.com scaled Deployment web in team-1 to 5 replicas")
    assert.strictEqual(told(scaled(1)), "alice@example.com scaled Deployment web in team-1 to 1 replica")
    assert.strictEqual(told(scaled(0)), "alice@example.com scaled Deployment web in team-1 to 0 replicas")
    assert.strictEqual(told(scaled(undefined)), "alice@example.com scaled Deployment web in team-1 to 0 replicas")
    assert.strictEqual(
      told({ ...scaled(5), responseObject: undefined }),
      "alice@example.com updated Deployment web in team-1"
    )
  })

  it("tell how much a collection's deletion took", () => {
    const collection = (requestURI: string, namespace?: string) => ({
      verb: "deletecollection",
      requestURI,
      objectRef: { ...deployments, ...(namespace === undefined ? {} : { namespace }) },
      requestObject: undefined,
      responseObject: { kind: "DeploymentList", apiVersion: "apps/v1", items: [] },
      responseStatus: { code: 200 }
    })
    assert.strictEqual(
      told(collection("/apis/apps/v1/namespaces/team-1/deployments", "team-1")),
      "alice@example.com deleted all Deployments in team-1"
    )
    assert.strictEqual(
      told(collection("/apis/apps/v1/namespaces/team-1/deployments?labelSelector=app%3Dweb", "team-1")),
      "alice@example.com deleted a selection of Deployments in team-1"
    )
    assert.strictEqual(
      told(collection("/apis/apps/v1/deployments")),
      "alice@example.com deleted all Deployments in all namespaces"
    )
  })

  it("tell people, not controllers, what was refused", () => {
    const refused = {
      responseStatus: { code: 409, message: `deployments.apps "web" already exists` },
      responseObject: { kind: "Status", apiVersion: "v1", metadata: {} }
    }
    assert.strictEqual(
      told(refused),
      `alice@example.com could not create Deployment web in team-1: deployments.apps "web" already exists`
    )
    assert.strictEqual(told({ ...refused, user: { username: "system:serviceaccount:a:b" } }), "no_matching_rule")
    assert.strictEqual(
      told({ verb: "patch", responseStatus: { code: 500 }, responseObject: undefined }),
      "alice@example.com could not update Deployment web in team-1: the request failed"
    )
  })

  it("tell the sentence of an Event that has none", () => {
    assert.strictEqual(toldOfEvent({ note: "" }), "Deployment web in team-1: ScalingReplicaSet")
    assert.strictEqual(toldOfEvent({}), "Deployment web in team-1 scaled up ReplicaSet web-66d47686b4 from 0 to 3")
  })

  it("tell a create whose record has neither a name nor bodies", () => {
    assert.strictEqual(
      told({
        level: "Metadata",
        objectRef: { ...deployments, namespace: "team-1" },
        requestObject: undefined,
        responseObject: undefined
      }),
      "alice@example.com created a new Deployment in team-1"
    )
  })

  it("fail for none of a cluster's truncated records", () => {
    for (const verb of ["create", "update", "patch", "delete"]) {
      assert.match(
        told({
          verb,
          requestObject: undefined,
          responseObject: undefined,
          annotations: { "audit.k8s.io/truncated": "true" }
        }),
        /^alice@example\.com (created|updated|deleted) Deployment web in team-1$/
      )
    }
  })
})
