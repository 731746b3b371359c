import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { Json, JsonObject } from "../../src/domain/AuditRecord.ts"
import { kubernetesEventKey, kubernetesEventVersion } from "../../src/domain/identity.ts"
import { kubernetesEventFrom, kubernetesEventFromText } from "../../src/normalise/kubernetesEventFrom.ts"
import { deploymentScaledEvent, recordedLines } from "../process/scenarios.ts"

const origin = { cluster: "dev", tenant: { type: "Project", name: "prod" } }

const read = (changes: { readonly [name: string]: Json | undefined } = {}) =>
  kubernetesEventFrom({ ...deploymentScaledEvent, ...changes }, origin)

/** The same Event as core/v1 shows it. */
const asCore: JsonObject = {
  kind: "Event",
  apiVersion: "v1",
  metadata: {
    ...(deploymentScaledEvent["metadata"] as JsonObject),
    managedFields: [{ manager: "kube-controller-manager" }]
  },
  involvedObject: deploymentScaledEvent["regarding"],
  reason: "ScalingReplicaSet",
  message: "Scaled up replica set web-66d47686b4 from 0 to 3",
  source: { component: "deployment-controller" },
  firstTimestamp: "2026-11-20T15:07:46Z",
  lastTimestamp: "2026-11-20T15:07:46Z",
  count: 1,
  type: "Normal",
  eventTime: null,
  reportingComponent: "deployment-controller",
  reportingInstance: ""
}

describe("a Kubernetes Event", () => {
  it("keeps labels and annotations without a value, in order", () => {
    const metadata = { ...Object(deploymentScaledEvent["metadata"]), labels: { b: "", a: "1" }, annotations: { c: "" } }
    const { body } = Result.getOrThrow(read({ metadata }))
    assert.strictEqual(JSON.stringify(Object(body["metadata"]).labels), '{"a":"1","b":""}')
    assert.deepStrictEqual(Object(body["metadata"]).annotations, { c: "" })
    assert.deepStrictEqual(Result.getOrThrow(kubernetesEventFrom(body, origin)).body, body)
  })

  it("becomes its fields, with absent ones empty", () => {
    const event = Result.getOrThrow(read())
    const { body, json, ...fields } = event
    assert.deepStrictEqual(fields, {
      key: kubernetesEventKey("dev", "ev-1"),
      version: kubernetesEventVersion("dev", "ev-1", "350"),
      cluster: "dev",
      tenant: { type: "Project", name: "prod" },
      uid: "ev-1",
      resourceVersion: "350",
      order: 350n,
      namespace: "team-1",
      name: "web.18e9c94ec722dc5b",
      creationTimestamp: "2026-11-20T15:07:46.000000Z",
      firstSeen: "2026-11-20T15:07:46.000000Z",
      lastSeen: "2026-11-20T15:07:46.000000Z",
      count: 1,
      regarding: {
        apiGroup: "apps",
        apiVersion: "v1",
        kind: "Deployment",
        namespace: "team-1",
        name: "web",
        uid: "dep-1"
      },
      related: { apiGroup: "", apiVersion: "", kind: "", namespace: "", name: "", uid: "" },
      reason: "ScalingReplicaSet",
      type: "Normal",
      action: "",
      note: "Scaled up replica set web-66d47686b4 from 0 to 3",
      reportingController: "deployment-controller",
      reportingInstance: ""
    })
    assert.strictEqual(json, JSON.stringify(body))
  })

  it("is the same bytes in both API versions", () => {
    const core = Result.getOrThrow(kubernetesEventFrom(asCore, origin))
    assert.deepStrictEqual(core, Result.getOrThrow(read()))
    assert.notInclude(core.json, "managedFields")
  })

  it("is the same bytes in both API versions, for all 666 that were recorded in both", () => {
    const frames = (file: string) =>
      new Map(
        recordedLines(file).flatMap((line): ReadonlyArray<readonly [string, string]> => {
          const frame: { readonly object: JsonObject } = JSON.parse(line)
          const result = kubernetesEventFrom(frame.object, origin)
          return Result.isSuccess(result) ? [[result.success.version, result.success.json]] : []
        })
      )
    const core = frames("watch-frames-corev1.jsonl.gz")
    const events = frames("watch-frames-eventsv1.jsonl.gz")
    assert.isAbove(core.size, 666)
    assert.deepStrictEqual([...core].sort(), [...events].sort())
  })

  it("stays the same when it is normalised again", () => {
    for (const line of recordedLines("kube-events.jsonl.gz")) {
      const once = Result.getOrThrow(kubernetesEventFromText(line, origin))
      assert.deepStrictEqual(Result.getOrThrow(kubernetesEventFromText(once.json, origin)), once)
    }
  })

  it("without uid or any time is unreadable, with the field's name", () => {
    const field = (result: ReturnType<typeof read>) => (Result.isFailure(result) ? result.failure.field : undefined)
    assert.strictEqual(field(kubernetesEventFromText("nonsense", origin)), "")
    assert.strictEqual(field(read({ kind: "Pod" })), "kind")
    assert.strictEqual(field(read({ apiVersion: "audit.k8s.io/v1" })), "apiVersion")
    assert.strictEqual(field(read({ metadata: {} })), "metadata.uid")
    const noTimes = {
      metadata: { uid: "x" },
      deprecatedFirstTimestamp: null,
      deprecatedLastTimestamp: "0001-01-01T00:00:00Z"
    }
    assert.strictEqual(field(read(noTimes)), "metadata.creationTimestamp")
  })

  it("with a time from before 1970 or after 2105 is unreadable, with the field's name", () => {
    const field = (result: ReturnType<typeof read>) => (Result.isFailure(result) ? result.failure.field : undefined)
    for (const outside of ["1969-12-31T23:59:59Z", "2106-01-01T00:00:00Z", "0000-01-01T00:00:00+14:00"]) {
      assert.strictEqual(field(read({ deprecatedLastTimestamp: outside })), "lastTimestamp", outside)
      assert.strictEqual(field(read({ deprecatedFirstTimestamp: outside })), "firstTimestamp", outside)
      const metadata = { uid: "x", creationTimestamp: outside }
      assert.strictEqual(field(read({ metadata })), "metadata.creationTimestamp", outside)
    }
  })

  it("without a number for a resourceVersion has order 0", () => {
    for (const resourceVersion of ["", "abc", "12x", "1".repeat(40)]) {
      const { order } = Result.getOrThrow(
        read({ metadata: { uid: "x", creationTimestamp: "2026-11-20T15:07:46Z", resourceVersion } })
      )
      assert.strictEqual(order, 0n)
    }
  })

  it("of an old reporter is told by its source", () => {
    const event = Result.getOrThrow(
      kubernetesEventFrom(
        { ...asCore, reportingComponent: "", source: { component: "kubelet", host: "node-1" } },
        origin
      )
    )
    assert.strictEqual(event.reportingController, "kubelet")
    assert.strictEqual(event.reportingInstance, "node-1")
  })

  it("has the order that its message carries, else the one of its resourceVersion", () => {
    const orders = ["893350", "", "x"].map(
      (order) => Result.getOrThrow(kubernetesEventFrom(deploymentScaledEvent, { ...origin, order })).order
    )
    assert.deepStrictEqual(orders, [893350n, 350n, 0n])
  })
})
