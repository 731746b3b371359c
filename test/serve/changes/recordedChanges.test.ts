import { Result } from "effect"
import fc from "fast-check"
import { assert, describe, it } from "vitest"
import { auditRecordFrom } from "../../../src/normalise/auditRecordFrom.ts"
import type { AuditRecord } from "../../../src/domain/AuditRecord.ts"
import { recordedChanges } from "../../../src/serve/changes/recordedChanges.ts"
import { shownChanges } from "../../../src/serve/changes/shownChanges.ts"
import { auditRecordLines } from "../../support/recordedData.ts"

const recordOf = (text: string): AuditRecord =>
  Result.getOrThrow(auditRecordFrom(text, { cluster: "local", defaultTenant: { type: "Platform", name: "" } }))

interface TestRequest {
  readonly verb: string
  readonly subresource?: string
  readonly code?: number
  readonly request?: object
  readonly response?: object
}

const record = ({ code = 200, request, response, subresource, verb }: TestRequest): AuditRecord =>
  recordOf(
    JSON.stringify({
      kind: "Event",
      apiVersion: "audit.k8s.io/v1",
      level: "RequestResponse",
      auditID: "a",
      stage: "ResponseComplete",
      requestURI: "/apis/apps/v1/namespaces/team-1/deployments/web",
      verb,
      user: { username: "alice" },
      objectRef: {
        apiGroup: "apps",
        apiVersion: "v1",
        resource: "deployments",
        namespace: "team-1",
        name: "web",
        subresource
      },
      responseStatus: { metadata: {}, code },
      ...(request === undefined ? {} : { requestObject: request }),
      ...(response === undefined ? {} : { responseObject: response }),
      requestReceivedTimestamp: "2026-11-21T10:00:00.000000Z"
    })
  )

interface TestObject {
  readonly version: number
  readonly generation?: number
  readonly uid?: string
  readonly labels?: object
  readonly spec?: object
  readonly more?: object
}

const object = ({ generation, labels, more, spec, uid = "uid-1", version }: TestObject) => ({
  kind: "Deployment",
  apiVersion: "apps/v1",
  metadata: {
    name: "web",
    namespace: "team-1",
    uid,
    resourceVersion: String(version),
    ...(generation === undefined ? {} : { generation }),
    ...(labels === undefined ? {} : { labels })
  },
  ...(spec === undefined ? {} : { spec }),
  ...more
})

const scale = (version: number, replicas: number | undefined) => ({
  kind: "Scale",
  apiVersion: "autoscaling/v1",
  metadata: { name: "web", namespace: "team-1", uid: "uid-1", resourceVersion: String(version) },
  spec: replicas === undefined ? {} : { replicas }
})

const changesOf = (one: AuditRecord, ...earlier: ReadonlyArray<AuditRecord>) => {
  const found = recordedChanges(one, earlier)
  return found === undefined ? undefined : shownChanges(found)
}

const created = (spec: object, more: Partial<TestObject> = {}) =>
  record({ verb: "create", code: 201, response: object({ version: 10, generation: 1, spec, ...more }) })

describe("changes of an update", () => {
  it("that was made from the state before are all that differs, bookkeeping aside", () => {
    const before = created({ replicas: 3 }, { labels: { tier: "gold" }, more: { status: { readyReplicas: 3 } } })
    const sent = object({ version: 10, generation: 1, labels: { tier: "silver" }, spec: { replicas: 5 } })
    const after = {
      ...object({ version: 12, generation: 2, labels: { tier: "silver" }, spec: { replicas: 5 } }),
      status: { readyReplicas: 4 }
    }
    assert.deepStrictEqual(changesOf(record({ verb: "update", request: sent, response: after }), before), {
      changes: [
        { field: "metadata.labels.tier", old: "gold", new: "silver" },
        { field: "spec.replicas", old: "3", new: "5" }
      ]
    })
  })

  it("that changed nothing are none", () => {
    const same = object({ version: 10, generation: 1, spec: { replicas: 3 } })
    assert.deepStrictEqual(
      changesOf(record({ verb: "update", request: same, response: same }), created({ replicas: 3 })),
      { changes: [] }
    )
  })

  it("made from a later state are told as far as its generation says that they are its own", () => {
    // The status was written in between, perhaps with labels.
    const sent = object({ version: 11, generation: 1, labels: { a: "2" }, spec: { replicas: 5 } })
    const after = object({ version: 12, generation: 2, labels: { a: "2" }, spec: { replicas: 5 } })
    assert.deepStrictEqual(
      changesOf(
        record({ verb: "update", request: sent, response: after }),
        created({ replicas: 3 }, { labels: { a: "1" } })
      ),
      { changes: [{ field: "spec.replicas", old: "3", new: "5" }], changesLeftOut: 1 }
    )
  })

  it("are not known where somebody else changed the object in between", () => {
    const update = (sent: TestObject, after: TestObject) =>
      record({ verb: "update", request: object(sent), response: object(after) })
    const spec = { replicas: 5, paused: true }
    // Of a kind with generations, by these; of one without, by its version.
    assert.strictEqual(
      changesOf(
        update({ version: 11, generation: 2, spec }, { version: 12, generation: 3, spec }),
        created({ replicas: 3 })
      ),
      undefined
    )
    const { generation: _, ...config } = { version: 10, generation: undefined, more: { data: { a: "1" } } }
    const before = record({ verb: "create", code: 201, response: object(config) })
    const later = { version: 12, more: { data: { a: "1", b: "2" } } }
    assert.strictEqual(changesOf(update({ ...later, version: 11 }, later), before), undefined)
    assert.deepStrictEqual(changesOf(update({ ...later, version: 10 }, later), before), {
      changes: [{ field: "data.b", new: "2" }]
    })
  })

  it("without an answer in its record are what was sent, beside the state that it was made from", () => {
    const sent = object({ version: 10, generation: 1, spec: { replicas: 5 } })
    assert.deepStrictEqual(changesOf(record({ verb: "update", request: sent }), created({ replicas: 3 })), {
      changes: [{ field: "spec.replicas", old: "3", new: "5" }]
    })
    const other = object({ version: 11, generation: 1, spec: { replicas: 5 } })
    assert.strictEqual(changesOf(record({ verb: "update", request: other }), created({ replicas: 3 })), undefined)
  })
})

describe("changes of a patch", () => {
  const patched = (request: object, after: TestObject) => record({ verb: "patch", request, response: object(after) })

  it("are what it names and what differs; others did the rest", () => {
    const before = created({ replicas: 3, paused: true }, { labels: { a: "1" } })
    const after = {
      version: 14,
      generation: 2,
      labels: { a: "1", revision: "2" },
      spec: { replicas: 5, paused: true, x: 1 }
    }
    assert.deepStrictEqual(changesOf(patched({ spec: { replicas: 5, paused: true } }, after), before), {
      changes: [{ field: "spec.replicas", old: "3", new: "5" }]
    })
    const operations = [
      { op: "test", path: "/spec/replicas", value: 3 },
      { op: "replace", path: "/spec/replicas", value: 5 }
    ]
    assert.deepStrictEqual(changesOf(patched(operations, after), before), {
      changes: [{ field: "spec.replicas", old: "3", new: "5" }]
    })
  })

  it("that moves and copies are what stands where", () => {
    const before = created({ a: 1, b: 2, other: 1 })
    const after = { version: 12, generation: 2, spec: { b: 2, c: 1, d: { e: 2 }, other: 2 } }
    const operations = [
      { op: "move", from: "/spec/a", path: "/spec/c" },
      { op: "copy", from: "/spec/b", path: "/spec/d/e" }
    ]
    assert.deepStrictEqual(changesOf(patched(operations, after), before), {
      changes: [
        { field: "spec.a", old: "1" },
        { field: "spec.c", new: "1" },
        { field: "spec.d.e", new: "2" }
      ]
    })
  })

  it("in lists are of the elements that differ, however it named them", () => {
    const containers = (image: string) => [
      { name: "log", image: "fluentd:1" },
      { name: "web", image }
    ]
    const template = (image: string) => ({ template: { spec: { containers: containers(image) } } })
    const expected = {
      changes: [{ field: "spec.template.spec.containers[name=web].image", old: "nginx:1.27", new: "nginx:1.28" }]
    }
    for (const request of [
      { spec: { template: { spec: { containers: [{ name: "web", image: "nginx:1.28" }] } } } },
      template("nginx:1.28"),
      [{ op: "replace", path: "/spec/template/spec/containers/1/image", value: "nginx:1.28" }]
    ]) {
      const body = Array.isArray(request) || !("template" in request) ? request : { spec: request }
      assert.deepStrictEqual(
        changesOf(
          patched(body, { version: 12, generation: 2, spec: template("nginx:1.28") }),
          created(template("nginx:1.27"))
        ),
        expected
      )
    }
  })

  it("that applies an object are what differs of what it names, and what is there no more", () => {
    const before = created({ replicas: 3, paused: true }, { labels: { a: "1", b: "1" } })
    const request = {
      kind: "Deployment",
      apiVersion: "apps/v1",
      metadata: { name: "web", labels: { a: "2" } },
      spec: { replicas: 3 }
    }
    const after = {
      version: 14,
      generation: 2,
      labels: { a: "2", added: "by others" },
      spec: { replicas: 3, minReadySeconds: 1 }
    }
    assert.deepStrictEqual(changesOf(patched(request, after), before), {
      changes: [
        { field: "metadata.labels.a", old: "1", new: "2" },
        { field: "metadata.labels.b", old: "1" },
        { field: "spec.paused", old: "true" }
      ]
    })
    // Alone it does not tell what was so before.
    assert.strictEqual(changesOf(patched(request, after)), undefined)
  })

  it("without a state before are what it asks for: new values, and names of what it removes", () => {
    const none = { version: 12, generation: 2, spec: {} }
    assert.deepStrictEqual(
      changesOf(
        patched(
          {
            metadata: { labels: { tier: null }, resourceVersion: "5", $retainKeys: ["labels"] },
            spec: {
              replicas: 5,
              template: {
                spec: {
                  "$setElementOrder/containers": [{ name: "web" }],
                  containers: [
                    { name: "web", image: "nginx:1.28" },
                    { name: "old", $patch: "delete" }
                  ]
                }
              }
            },
            status: { replicas: 1 }
          },
          none
        )
      ),
      {
        changes: [
          { field: "metadata.labels.tier" },
          { field: "spec.replicas", new: "5" },
          { field: "spec.template.spec.containers[name=web].image", new: "nginx:1.28" },
          { field: "spec.template.spec.containers[name=old]" }
        ]
      }
    )
    assert.deepStrictEqual(
      changesOf(
        patched(
          [
            { op: "add", path: "/metadata/annotations/example.com~1note", value: "hi" },
            { op: "add", path: "/spec/template/spec/containers/0/args", value: ["a"] },
            { op: "remove", path: "/spec/paused" },
            { op: "move", from: "/spec/a", path: "/spec/b" },
            { op: "test", path: "/spec/c", value: 1 }
          ],
          none
        )
      ),
      {
        changes: [
          { field: "metadata.annotations[example.com/note]", new: "hi" },
          { field: "spec.template.spec.containers[0].args", new: '["a"]' },
          { field: "spec.paused" },
          { field: "spec.a" }
        ]
      }
    )
  })

  it("have no old values where the object says that others changed it since", () => {
    const after = { version: 14, generation: 3, spec: { replicas: 5 } }
    assert.deepStrictEqual(changesOf(patched({ spec: { replicas: 5 } }, after), created({ replicas: 3 })), {
      changes: [{ field: "spec.replicas", new: "5" }]
    })
  })

  it("that set what is redacted say so, and never what it was", () => {
    const env = (value: string) => ({
      template: {
        env: [
          { name: "DB_PASSWORD", value },
          { name: "MODE", value: "x" }
        ]
      }
    })
    const request = { spec: { template: { env: [{ name: "DB_PASSWORD", value: "REDACTED" }] } } }
    const after = { version: 12, generation: 2, spec: env("REDACTED") }
    const expected = {
      changes: [{ field: "spec.template.env[name=DB_PASSWORD].value", old: "REDACTED", new: "REDACTED" }]
    }
    assert.deepStrictEqual(changesOf(patched(request, after), created(env("REDACTED"))), expected)
    // Before the collector was told that it is a secret.
    assert.deepStrictEqual(changesOf(patched(request, after), created(env("hunter2"))), expected)
  })
})

describe("changes of a scale", () => {
  const scaled = record({
    verb: "patch",
    subresource: "scale",
    request: { spec: { replicas: 5 } },
    response: scale(12, 5)
  })

  it("are the number before and after", () => {
    const expected = { changes: [{ field: "spec.replicas", old: "3", new: "5" }] }
    assert.deepStrictEqual(changesOf(scaled, created({ replicas: 3, paused: true })), expected)
    const other = record({ verb: "update", subresource: "scale", response: scale(11, 3) })
    assert.deepStrictEqual(changesOf(scaled, other, created({ replicas: 1 })), expected)
    assert.deepStrictEqual(changesOf(scaled), { changes: [{ field: "spec.replicas", new: "5" }] })
    const toNone = record({
      verb: "update",
      subresource: "scale",
      request: scale(10, undefined),
      response: scale(12, undefined)
    })
    assert.deepStrictEqual(changesOf(toNone, created({ replicas: 3 })), {
      changes: [{ field: "spec.replicas", old: "3", new: "0" }]
    })
  })

  it("are no changes of the request after it", () => {
    const after = object({ version: 14, generation: 3, spec: { replicas: 5, paused: true } })
    const sent = object({ version: 12, generation: 2, spec: { replicas: 5, paused: true } })
    const update = record({ verb: "update", request: sent, response: after })
    assert.deepStrictEqual(changesOf(update, scaled, created({ replicas: 3 })), {
      changes: [{ field: "spec.paused", new: "true" }]
    })
    const patch = record({ verb: "patch", request: { spec: { paused: true, replicas: 5 } }, response: after })
    assert.deepStrictEqual(changesOf(patch, scaled, created({ replicas: 3, paused: false })), {
      changes: [{ field: "spec.paused", old: "false", new: "true" }]
    })
  })
})

describe("the state before", () => {
  const patch = record({
    verb: "patch",
    request: { spec: { replicas: 5 } },
    response: object({ version: 14, generation: 2, spec: { replicas: 5 } })
  })
  const withoutOld = { changes: [{ field: "spec.replicas", new: "5" }] }
  const withOld = { changes: [{ field: "spec.replicas", old: "3", new: "5" }] }

  it("is the newest that a record tells, that of its status too", () => {
    const status = record({
      verb: "update",
      subresource: "status",
      response: object({ version: 12, generation: 1, spec: { replicas: 3 } })
    })
    assert.deepStrictEqual(changesOf(patch, status, created({ replicas: 2 })), withOld)
  })

  it("is not known behind a request that does not tell what it changed, but behind one that is of no matter", () => {
    const before = created({ replicas: 3 })
    assert.deepStrictEqual(changesOf(patch, record({ verb: "update" }), before), withoutOld)
    assert.deepStrictEqual(
      changesOf(
        patch,
        record({ verb: "create", subresource: "binding", response: { kind: "Status", metadata: {} } }),
        before
      ),
      withoutOld
    )
    assert.deepStrictEqual(changesOf(patch, record({ verb: "patch", subresource: "status" }), before), withOld)
    assert.deepStrictEqual(
      changesOf(patch, record({ verb: "get", response: { kind: "Table", metadata: {} } }), before),
      withOld
    )
  })

  it("is not that of another object of the name, nor of another version of the API", () => {
    assert.deepStrictEqual(changesOf(patch, created({ replicas: 3 }, { uid: "uid-0" })), withoutOld)
    assert.deepStrictEqual(
      changesOf(patch, created({ replicas: 3 }, { more: { apiVersion: "apps/v1beta1" } })),
      withoutOld
    )
  })

  it("is not what came later by the version of the object", () => {
    const later = record({ verb: "patch", response: object({ version: 20, generation: 2, spec: { replicas: 9 } }) })
    assert.deepStrictEqual(changesOf(patch, later, created({ replicas: 3 })), withOld)
  })
})

it("requests that created, deleted, failed, or wrote a status have no changes to tell", () => {
  const response = object({ version: 14, generation: 1, spec: { replicas: 5 } })
  const request = { spec: { replicas: 5 } }
  const before = created({ replicas: 3 })
  for (const one of [
    { verb: "create", code: 201 },
    { verb: "update", code: 201 },
    { verb: "patch", code: 201 },
    { verb: "patch", code: 409 },
    { verb: "delete" },
    { verb: "deletecollection" },
    { verb: "patch", subresource: "status" }
  ]) {
    assert.strictEqual(changesOf(record({ ...one, request, response }), before), undefined, JSON.stringify(one))
  }
  // Cut by the API server: nothing is left to tell by.
  assert.strictEqual(changesOf(record({ verb: "update" }), before), undefined)
})

it("however deep a patch names a field, and however long names are, it is read once", () => {
  const before = created({ replicas: 1 })
  const pointer = "/a".repeat(200_000)
  const response = object({ version: 11, generation: 2, spec: { replicas: 2 } })
  const changed = (request: object) => changesOf(record({ verb: "patch", request, response }), before)?.changes
  const scaled = [{ field: "spec.replicas", old: "1", new: "2" }]
  assert.deepStrictEqual(
    changed([
      { op: "test", path: `/spec/replicas${pointer}` },
      { op: "test", path: pointer }
    ]),
    scaled
  )
  assert.deepStrictEqual(changed([{ op: "test", path: pointer }]), [])
  const name = "n".repeat(500_000)
  const many = (value: number) => Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`m${index}`, value]))
  const spec = (value: number) => ({ [name]: many(value) })
  const shown = changesOf(
    record({
      verb: "patch",
      request: { spec: spec(2) },
      response: object({ version: 11, generation: 2, spec: spec(2) })
    }),
    created(spec(1))
  )
  assert.deepStrictEqual([shown?.changes.length, shown?.changesLeftOut], [100, 900])
})

it("bodies that nobody's API server writes are no fault of ours", () => {
  const shapes = fc.constantFrom<object>(
    { kind: "Deployment", apiVersion: "apps/v1", metadata: { generation: 1 } },
    { kind: "Scale", metadata: { resourceVersion: "1" } },
    { metadata: { name: {}, uid: [], resourceVersion: {}, generation: "x" }, kind: [], spec: [1] },
    {}
  )
  const body = fc.oneof(
    fc.jsonValue(),
    fc
      .tuple(shapes, fc.dictionary(fc.constantFrom("spec", "status", "metadata", "toString"), fc.jsonValue()))
      .map(([shape, rest]) => ({ ...rest, ...shape })),
    fc.array(
      fc.record({
        op: fc.constantFrom("add", "remove", "move", "x"),
        path: fc.string(),
        from: fc.jsonValue(),
        value: fc.jsonValue()
      })
    )
  )
  const request = fc.record({
    verb: fc.constantFrom("update", "patch", "create", "get"),
    subresource: fc.constantFrom("", "scale"),
    request: body,
    response: body
  })
  fc.assert(
    fc.property(request, fc.array(request, { maxLength: 3 }), (one, earlier) => {
      // Anything may stand where a body is expected.
      const records = [one, ...earlier].map((made) => record(made as TestRequest))
      const shown = changesOf(records[0]!, ...records.slice(1))
      for (const change of shown?.changes ?? []) assert.isString(change.field)
    }),
    { numRuns: 500 }
  )
})

describe("recorded requests", () => {
  /** By hand: what kubectl and the controllers were told to do, and how test/data says that it was before. */
  const all = auditRecordLines().map(recordOf)

  const changesAt = (received: string) => {
    const one = all.find(
      ({ requestReceivedTimestamp, stage }) =>
        requestReceivedTimestamp.endsWith(received) && stage === "ResponseComplete"
    )
    assert.isDefined(one)
    const { objectRef, requestReceivedTimestamp } = one!
    const earlier = all
      .filter(
        (other) =>
          other.objectRef.resource === objectRef.resource &&
          other.objectRef.namespace === objectRef.namespace &&
          other.objectRef.name === objectRef.name &&
          other.statusCode < 300 &&
          other.requestReceivedTimestamp < requestReceivedTimestamp
      )
      .toSorted((a, b) => (a.requestReceivedTimestamp < b.requestReceivedTimestamp ? 1 : -1))
    return changesOf(one!, ...earlier)?.changes
  }

  it("kubectl scale deployment/web --replicas=5, after it had 3", () => {
    assert.deepStrictEqual(changesAt("15:07:47.233806Z"), [{ field: "spec.replicas", old: "3", new: "5" }])
  })

  it("kubectl set image deployment/web nginx=nginx:1.28, after that scale", () => {
    assert.deepStrictEqual(changesAt("15:07:47.343325Z"), [
      { field: "spec.template.spec.containers[name=nginx].image", old: "nginx:1.27", new: "nginx:1.28" }
    ])
  })

  it("the same where the scale before it is missing among the recorded", () => {
    assert.deepStrictEqual(changesAt("15:07:51.958657Z"), [
      { field: "spec.template.spec.containers[name=nginx].image", new: "nginx:1.28" }
    ])
  })

  it("kubectl patch configmap, and an annotation of a Service", () => {
    assert.deepStrictEqual(changesAt("15:07:49.677591Z"), [{ field: "data.mode", old: "prod", new: "canary" }])
    assert.deepStrictEqual(changesAt("15:07:49.787471Z"), [{ field: "metadata.annotations.owner", new: "bob" }])
  })

  it("a custom resource, whose status is written in between", () => {
    assert.deepStrictEqual(changesAt("15:08:01.968829Z"), [{ field: "spec.port", old: "80", new: "8080" }])
    assert.isUndefined(changesAt("15:07:49.911285Z"))
  })

  it("an update of a ReplicaSet by the deployment controller", () => {
    assert.deepStrictEqual(changesAt("15:08:01.646920Z"), [
      { field: "metadata.annotations[deployment.kubernetes.io/desired-replicas]", old: "3", new: "5" },
      { field: "metadata.annotations[deployment.kubernetes.io/max-replicas]", old: "4", new: "7" },
      { field: "spec.replicas", old: "3", new: "5" }
    ])
  })

  it("a taint that the node controller took away", () => {
    assert.deepStrictEqual(changesAt("15:07:45.917077Z"), [
      {
        field: "spec.taints[key=node.kubernetes.io/not-ready]",
        old: '{"key":"node.kubernetes.io/not-ready","effect":"NoSchedule"}'
      }
    ])
  })
})
