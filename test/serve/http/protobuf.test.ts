import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Call } from "../../../src/serve/http/Call.ts"
import { inJson } from "../../../src/serve/events/eventProtobuf.ts"

/** As k8s.io/client-go v0.35.10 wrote them (runtime.Encode with the serializer of runtime/serializer/protobuf). */
const newEvent =
  "azhzAAoZChBldmVudHMuazhzLmlvL3YxEgVFdmVudBL6AQplCgV3ZWIuMRIAGgZ0ZWFtLTEiACoAMgA4AEIAWgoKA2FwcBIDd2ViWgUKAWISAGoXCgNQb2QaA3dlYiIFcG9kLTEqAnYxMAFyDWV4YW1wbGUuY29tL2FyDWV4YW1wbGUuY29tL2ISCwig14XYBhCAlO86Gg8IBxILCNzXhdgGEICU7zoiFmV4YW1wbGUuY29tL2NvbnRyb2xsZXIqDGNvbnRyb2xsZXItMTIEUHVsbDoHUHVsbGluZ0IhCgNQb2QSBnRlYW0tMRoDd2ViIgVwb2QtMSoCdjEyADoAUgdHcsO8w59lWgZOb3JtYWxiBAoAEgBqAHIAeAAaACIA"
const coreEvent =
  "azhzAAoLCgJ2MRIFRXZlbnQS1QEKZQoFd2ViLjESABoGdGVhbS0xIgAqADIAOABCAFoKCgNhcHASA3dlYloFCgFiEgBqFwoDUG9kGgN3ZWIiBXBvZC0xKgJ2MTABcg1leGFtcGxlLmNvbS9hcg1leGFtcGxlLmNvbS9iEiEKA1BvZBIGdGVhbS0xGgN3ZWIiBXBvZC0xKgJ2MTIAOgAaB0JhY2tPZmYiBWFnYWluKhEKB2t1YmVsZXQSBm5vZGUtMTIICKDXhdgGEAA6CAjc14XYBhAAQKwCSgdXYXJuaW5nUgBiAHIAegAaACIA"
const deletion = "azhzAAohChBldmVudHMuazhzLmlvL3YxEg1EZWxldGVPcHRpb25zEhkI////////////ARIHCgVwb2QtMSoDQWxsGgAiAA=="

const bodyOf = (group: string, bytes: Uint8Array) => {
  // What else a call has nobody looks at here.
  const call = {
    header: (name: string) => (name === "content-type" ? "application/vnd.kubernetes.protobuf" : ""),
    body: Effect.succeed(Buffer.from(bytes))
  } as unknown as Call
  return Effect.map(inJson(call, group).body, (body) => JSON.parse(body.toString()))
}

/** A text or message of protobuf. */
const field = (number: number, bytes: Buffer): Buffer => {
  const length: Array<number> = []
  for (let left = bytes.length; left > 0 || length.length === 0; left >>= 7)
    length.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0))
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes])
}

const metadata = {
  name: "web.1",
  generateName: "",
  namespace: "team-1",
  uid: "",
  resourceVersion: "",
  generation: 0,
  labels: { app: "web", b: "" },
  ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "web", uid: "pod-1", controller: true }],
  finalizers: ["example.com/a", "example.com/b"]
}
const about = {
  kind: "Pod",
  namespace: "team-1",
  name: "web",
  uid: "pod-1",
  apiVersion: "v1",
  resourceVersion: "",
  fieldPath: ""
}

describe("bodies in protobuf", () => {
  it.effect("an Event of events.k8s.io/v1", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* bodyOf("events.k8s.io", Buffer.from(newEvent, "base64")), {
        apiVersion: "events.k8s.io/v1",
        kind: "Event",
        metadata,
        eventTime: "2026-11-21T10:00:00.123456Z",
        series: { count: 7, lastObservedTime: "2026-11-21T10:01:00.123456Z" },
        reportingController: "example.com/controller",
        reportingInstance: "controller-1",
        action: "Pull",
        reason: "Pulling",
        regarding: about,
        note: "Grüße",
        type: "Normal",
        deprecatedSource: { component: "", host: "" },
        deprecatedCount: 0
      })
    })
  )

  it.effect("one of core/v1, and options of a deletion", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* bodyOf("", Buffer.from(coreEvent, "base64")), {
        apiVersion: "v1",
        kind: "Event",
        metadata,
        involvedObject: about,
        reason: "BackOff",
        message: "again",
        source: { component: "kubelet", host: "node-1" },
        firstTimestamp: "2026-11-21T10:00:00.000000Z",
        lastTimestamp: "2026-11-21T10:01:00.000000Z",
        count: 300,
        type: "Warning",
        action: "",
        reportingComponent: "",
        reportingInstance: ""
      })
      assert.deepStrictEqual(yield* bodyOf("", Buffer.from(deletion, "base64")), {
        apiVersion: "events.k8s.io/v1",
        kind: "DeleteOptions",
        gracePeriodSeconds: -1,
        preconditions: { uid: "pod-1" },
        dryRun: ["All"]
      })
    })
  )

  // Copied for each item, the list would take minutes.
  it.effect("a list of half a million items is read", () =>
    Effect.gen(function* () {
      const items = 500_000
      const metadata = Buffer.alloc(2 * items)
      // The finalizer "", again and again.
      for (let at = 0; at < metadata.length; at += 2) metadata[at] = (14 << 3) | 2
      const event = field(1, metadata)
      const type = Buffer.concat([field(1, Buffer.from("v1")), field(2, Buffer.from("Event"))])
      const body = Buffer.concat([Buffer.from("k8s\0"), field(1, type), field(2, event)])
      assert.strictEqual((yield* bodyOf("", body)).metadata.finalizers.length, items)
    })
  )

  it.effect("what is cut anywhere, or damaged, is refused or another object, and never a fault of ours", () =>
    Effect.gen(function* () {
      const whole = Buffer.from(newEvent, "base64")
      for (let length = 1; length < whole.length; length++) {
        const outcome = yield* bodyOf("events.k8s.io", whole.subarray(0, length)).pipe(
          Effect.catch(({ reason }) => Effect.succeed(reason))
        )
        assert.isTrue(outcome === "BadRequest" || typeof outcome === "object", `cut at ${length}`)
      }
      for (let place = 0; place < whole.length; place++) {
        const damaged = Buffer.from(whole)
        damaged[place] = (damaged[place] ?? 0) ^ 0xff
        const outcome = yield* bodyOf("events.k8s.io", damaged).pipe(
          Effect.catch(({ reason }) => Effect.succeed(reason))
        )
        assert.isTrue(outcome === "BadRequest" || typeof outcome === "object", `damaged at ${place}`)
      }
      const foreign = Buffer.from(coreEvent.replace("RXZlbnQ", "UG9kRm9"), "base64")
      assert.strictEqual((yield* Effect.flip(bodyOf("", foreign))).reason, "BadRequest")
    })
  )
})
