import { assert, describe, it } from "@effect/vitest"
import { activityColumns, type ServedActivity } from "../../../src/serve/activities/activityColumns.ts"

const activity = (change: { summary?: string; actor?: string; name?: string }): ServedActivity => ({
  apiVersion: "activity.miloapis.com/v1",
  kind: "Activity",
  metadata: {
    name: "act-0123456789abcdef0123456789abcdef",
    uid: "01234567-89ab-cdef-0123-456789abcdef",
    creationTimestamp: "2026-11-20T15:00:00Z",
    labels: {},
    resourceVersion: "1"
  },
  spec: {
    summary: change.summary ?? "alice created ConfigMap a",
    changeSource: "human",
    timestamp: "2026-11-20T15:00:00.000000Z",
    cluster: "local",
    actor: { type: "user", name: change.actor ?? "alice" },
    resource: { kind: "Pod", name: change.name ?? "web" },
    tenant: { type: "Platform", name: "" },
    outcome: "Success",
    origin: { type: "audit", id: "1" },
    policy: { name: "core-pod", generation: 1, rule: "create" }
  }
})

const cellOf = (column: string, of: ServedActivity): string | number | undefined =>
  activityColumns(() => Date.UTC(2026, 10, 20, 15, 2))
    .find(({ name }) => name === column)
    ?.cell(of)

describe("the columns of activities", () => {
  it("a long sentence is cut with a mark, a short one is whole", () => {
    assert.strictEqual(cellOf("Summary", activity({ summary: "x".repeat(90) })), "x".repeat(90))
    assert.strictEqual(cellOf("Summary", activity({ summary: "x".repeat(300) })), `${"x".repeat(89)}…`)
  })

  it("of a long actor the end is shown, which tells it from others", () => {
    assert.strictEqual(
      cellOf("Actor", activity({ actor: "system:serviceaccount:kube-system:replicaset-controller" })),
      "…count:kube-system:replicaset-controller"
    )
  })

  it("what was done to all of a kind has no name after the kind", () => {
    assert.strictEqual(cellOf("Resource", activity({ name: "" })), "Pod")
    assert.strictEqual(cellOf("Resource", activity({})), "Pod/web")
  })

  it("the age is that of the last sight", () => {
    assert.strictEqual(cellOf("Age", activity({})), "2m")
  })
})
