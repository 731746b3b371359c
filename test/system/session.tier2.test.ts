/**
 * What two people do with kubectl in an afternoon, and every sentence that is told about it: read through kube-apiserver,
 * by kubectl.
 */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { type Activity, type ListedActivity, startActivityInCluster } from "./activity.ts"
import { showLogsOfFailures, startMillisMax } from "./cluster.ts"

const widgets = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.shop.example.com" },
  spec: {
    group: "shop.example.com",
    scope: "Namespaced",
    names: { plural: "widgets", singular: "widget", kind: "Widget" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } }
      }
    ]
  }
}

/** No English plural leads to its kind, and people call it otherwise. */
const geese = {
  ...widgets,
  metadata: {
    name: "geese.shop.example.com",
    annotations: {
      "activity.miloapis.com/kind-label": "grey goose",
      "activity.miloapis.com/kind-label-plural": "grey geese"
    }
  },
  spec: { ...widgets.spec, names: { plural: "geese", singular: "goose", kind: "Goose" } }
}

const widgetPolicy = {
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ActivityPolicy",
  metadata: { name: "shop-widget" },
  spec: {
    resource: { apiGroup: "shop.example.com", kind: "Widget" },
    auditRules: [
      {
        match: "audit.verb == 'create'",
        summary: "{{ actor }} made {{ link(kind + ' ' + audit.objectRef.name, audit.responseObject) }}"
      }
    ]
  }
}

const binding = (role: string, user: string, kind = "ClusterRole") => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "RoleBinding",
  metadata: { name: `${user}-${role}`, namespace: "shop" },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: role },
  subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: user }]
})

const widget = { apiVersion: "shop.example.com/v1", kind: "Widget", metadata: { name: "blue" } }

const objects = [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } },
  widgets,
  geese,
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    metadata: { name: "developer", namespace: "shop" },
    rules: [
      {
        apiGroups: ["", "apps", "shop.example.com"],
        resources: [
          "pods",
          "pods/status",
          "pods/eviction",
          "configmaps",
          "deployments",
          "deployments/scale",
          "widgets",
          "serviceaccounts/token"
        ],
        verbs: ["*"]
      }
    ]
  },
  binding("developer", "alice", "Role"),
  binding("view", "bob"),
  binding("activity-namespace-viewer", "alice"),
  binding("activity-namespace-viewer", "bob")
]

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { generateName: "task-" },
  spec: { containers: [{ name: "task", image: "busybox" }] }
}

/** What people did, in their order. Two dry runs, a status, a token and what bob only looked at are not told. */
const told = (podName: string): ReadonlyArray<string> => [
  "alice created Deployment web in shop",
  'bob could not create a new Deployment in shop: deployments.apps is forbidden: User "bob" cannot create resource ' +
    '"deployments" in API group "apps" in the namespace "shop"',
  "alice scaled Deployment web in shop to 3 replicas",
  'bob could not update Deployment web in shop: deployments.apps "web" is forbidden: User "bob" cannot patch resource ' +
    '"deployments/scale" in API group "apps" in the namespace "shop"',
  `alice created Pod ${podName} in shop`,
  "alice created ConfigMap settings in shop",
  "alice updated ConfigMap settings in shop",
  "alice made Widget blue",
  'bob could not delete ConfigMap settings in shop: configmaps "settings" is forbidden: User "bob" cannot delete ' +
    'resource "configmaps" in API group "" in the namespace "shop"',
  "alice deleted ConfigMap settings in shop",
  `alice evicted Pod ${podName} in shop`,
  "alice deleted Deployment web in shop"
]

/** What controllers did because of it. RS and POD stand for what a controller called them. */
const toldOfControllers = [
  "system:serviceaccount:kube-system:deployment-controller created ReplicaSet web-RS in shop",
  "system:serviceaccount:kube-system:deployment-controller updated ReplicaSet web-RS in shop",
  "system:serviceaccount:kube-system:generic-garbage-collector deleted Pod web-RS-POD in shop",
  "system:serviceaccount:kube-system:generic-garbage-collector deleted ReplicaSet web-RS in shop",
  "system:serviceaccount:kube-system:replicaset-controller created Pod web-RS-POD in shop",
  // Of every new namespace.
  "system:serviceaccount:kube-system:root-ca-cert-publisher created ConfigMap kube-root-ca.crt in shop",
  "system:serviceaccount:kube-system:service-account-controller created ServiceAccount default in shop"
]

/** What Events said, those that are about the same thing again left out. */
const toldByEvents = [
  "Deployment web in shop scaled up ReplicaSet web-RS from 0 to 2",
  "Deployment web in shop scaled up ReplicaSet web-RS from 2 to 3",
  "Pod task-POD in shop cannot be scheduled: no nodes available to schedule pods",
  "Pod web-RS-POD in shop cannot be scheduled: no nodes available to schedule pods",
  "ReplicaSet web-RS in shop created Pod web-RS-POD"
]

/** The scheduler says so of a Pod that it happens to look at between its deletion and its end: seen in one run of many. */
const bySchedulersChance: ReadonlySet<string> = new Set([
  "Pod web-RS-POD in shop cannot be scheduled: skip schedule deleting pod: shop/web-RS-POD",
  "Pod task-POD in shop cannot be scheduled: skip schedule deleting pod: shop/task-POD"
])

describe("a kubectl session of two people", () => {
  let activity: Activity
  let podName = ""
  let listed: ReadonlyArray<ListedActivity> = []

  const kubectl = async (user: string, words: string, stdin?: object): Promise<string> => {
    const answer = await activity.cluster.kubectl(
      user,
      ["--namespace", "shop", ...words.split(" ")],
      stdin === undefined ? {} : { stdin: JSON.stringify(stdin) }
    )
    assert.strictEqual(answer.code, 0, `${user}: kubectl ${words}: ${answer.stderr}`)
    return answer.stdout
  }
  const refused = async (user: string, words: string): Promise<void> => {
    const answer = await activity.cluster.kubectl(user, ["--namespace", "shop", ...words.split(" ")])
    assert.match(answer.stderr, /forbidden/i, `${user}: kubectl ${words}`)
  }
  /** Oldest first, as alice's kubectl gets them. */
  const list = async (): Promise<ReadonlyArray<ListedActivity>> =>
    JSON.parse(await kubectl("alice", "get activities --output json")).items.toReversed()
  const summariesOf = (wanted: (one: ListedActivity) => boolean): ReadonlyArray<string> =>
    listed.filter(wanted).map(({ spec }) => spec.summary)

  beforeAll(async () => {
    activity = await startActivityInCluster({ users: { alice: [], bob: [] }, controllerReplicas: 1 })
    await activity.cluster.apply(...objects, widgetPolicy)
    await eventually("the policy of widgets counts", async () => {
      const { status } = (await activity.cluster.request("admin", policyPath)).json()
      return JSON.stringify(status ?? {}).includes('"Ready"')
    })

    await kubectl("alice", "create deployment web --image nginx:1.27 --replicas 2")
    await refused("bob", "create deployment shadow --image nginx:1.27")
    await kubectl("bob", "get deployments")
    await kubectl("alice", "scale deployment web --replicas 3")
    await refused("bob", "scale deployment web --replicas 0")
    podName = (await kubectl("alice", "create --filename - --output name", pod)).trim().replace("pod/", "")
    await kubectl("alice", `patch pod ${podName} --subresource status --type merge --patch {"status":{"message":"x"}}`)
    await kubectl("alice", "create token default")
    await kubectl("alice", "create configmap ghost --from-literal a=b --dry-run=server")
    await kubectl("alice", "delete deployment web --dry-run=server")
    await kubectl("alice", "create configmap settings --from-literal a=b")
    await kubectl("alice", "label configmap settings team=blue")
    await kubectl("alice", "create --filename -", widget)
    await refused("bob", "delete configmap settings")
    await kubectl("alice", "delete configmap settings")
    await kubectl("alice", `create --raw /api/v1/namespaces/shop/pods/${podName}/eviction --filename -`, {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name: podName, namespace: "shop" }
    })
    await kubectl("alice", "delete deployment web")

    await eventually(
      "the cluster has cleaned up",
      async () => (await kubectl("alice", "get pods --output name")) === ""
    )
    await eventually("everything is told", async () => {
      listed = await list()
      const summaries = new Set(listed.map(({ spec }) => withoutGeneratedNames(spec.summary)))
      return [...told("task-POD"), ...toldOfControllers, ...toldByEvents].every((one) => summaries.has(one))
    })
    // What came last has been looked at as well; then there is nothing more to come.
    await eventually("the dry runs are recorded", async () => (await recorded("dry_run = 1")) === 2)
    await activity.settled()
    listed = await list()
  }, startMillisMax)
  afterAll(async () => activity?.[Symbol.asyncDispose]())
  showLogsOfFailures(() => activity?.cluster)

  const recorded = async (where: string): Promise<number> => {
    const rows = await activity.query<{ count: string }>(
      `SELECT count() AS count FROM audit_logs FINAL WHERE namespace = 'shop' AND user = 'alice' AND ${where}`
    )
    return Number(rows[0]?.count)
  }

  it("is told in its order, what was refused included, what was tried out not", () => {
    const people = summariesOf(({ spec }) => ["alice", "bob"].includes(spec.actor.name))
    assert.deepStrictEqual(people, told(podName))
    assert.deepStrictEqual(
      summariesOf(({ spec }) => spec.actor.name === "alice" && spec.changeSource !== "human"),
      []
    )
  })

  it("what controllers did because of it is told, and marked system", () => {
    const audited = listed.filter(({ spec }) => spec.origin.type === "audit" && spec.actor.type !== "user")
    assert.deepStrictEqual(distinct(audited), toldOfControllers)
    assert.deepStrictEqual(new Set(audited.map(({ spec }) => spec.changeSource)), new Set(["system"]))
    assert.deepStrictEqual(new Set(audited.map(({ spec }) => spec.actor.type)), new Set(["serviceaccount"]))
  })

  it("each thing that a controller did is told once", () => {
    const count = (text: string) =>
      summariesOf(({ spec }) => spec.origin.type === "audit").filter((one) => one.includes(text))
    assert.lengthOf(count("created Pod web-"), 3)
    assert.lengthOf(count("deleted Pod web-"), 3)
    assert.lengthOf(count("created ReplicaSet web-"), 1)
    assert.lengthOf(count("deleted ReplicaSet web-"), 1)
  })

  it("Events are told beside, and marked system", () => {
    const events = listed.filter(({ spec }) => spec.origin.type === "event")
    assert.deepStrictEqual(
      distinct(events).filter((summary) => !bySchedulersChance.has(summary)),
      toldByEvents
    )
    assert.deepStrictEqual(new Set(events.map(({ spec }) => spec.changeSource)), new Set(["system"]))
  })

  it("what is not told is recorded: the status, the token, the dry runs", async () => {
    assert.strictEqual(await recorded("subresource = 'status' AND verb = 'patch'"), 1)
    assert.strictEqual(await recorded("subresource = 'token'"), 1)
    assert.strictEqual(await recorded("dry_run = 1 AND verb = 'create' AND resource_name = 'ghost'"), 1)
    assert.strictEqual(await recorded("dry_run = 1 AND verb = 'delete'"), 1)
  })

  it("of a single activity, kubectl gets what was changed", async () => {
    const changesOf = async (summary: string) => {
      const { metadata } = listed.find(({ spec }) => spec.summary === summary)!
      return JSON.parse(await kubectl("bob", `get activity ${metadata.name} --output json`)).spec.changes
    }
    assert.deepStrictEqual(await changesOf("alice scaled Deployment web in shop to 3 replicas"), [
      { field: "spec.replicas", old: "2", new: "3" }
    ])
    assert.deepStrictEqual(await changesOf("alice updated ConfigMap settings in shop"), [
      { field: "metadata.labels.team", new: "blue" }
    ])
    assert.isUndefined(await changesOf("alice created ConfigMap settings in shop"))
    assert.isUndefined(await changesOf("alice deleted ConfigMap settings in shop"))
  })

  it("a preview knows kinds as the processor does: by the cluster's discovery, and by their definitions", async () => {
    const preview = {
      apiVersion: "activity.miloapis.com/v1alpha1",
      kind: "PolicyPreview",
      spec: {
        policy: {
          resource: { apiGroup: "shop.example.com", kind: "Goose" },
          auditRules: [{ match: "true", summary: "{{ actor }} fed the {{ kind }} {{ audit.objectRef.name }}" }]
        },
        inputs: [
          {
            type: "audit",
            audit: {
              verb: "update",
              user: { username: "alice" },
              objectRef: { apiGroup: "shop.example.com", resource: "geese", namespace: "shop", name: "akka" }
            }
          }
        ]
      }
    }
    const status = await eventually("the API server knows the kind", async () => {
      const answer = await activity.cluster.request("admin", `${groupPath}/policypreviews`, {
        method: "POST",
        body: preview
      })
      return answer.json().status?.results[0].matched === true ? answer.json().status : undefined
    })
    assert.deepStrictEqual([status.kindLabel, status.kindLabelPlural], ["grey goose", "grey geese"])
    assert.strictEqual(status.activities[0].spec.summary, "alice fed the grey goose akka")
  })

  it("kubectl prints it as a table, to whoever may see the namespace", async () => {
    const table = (await kubectl("bob", "get activities --field-selector spec.actor.name=alice")).trim().split("\n")
    assert.match(table[0]!, /^NAME +SUMMARY +ACTOR +RESOURCE +SOURCE +AGE$/)
    assert.lengthOf(table.slice(1), told(podName).filter((one) => one.startsWith("alice")).length)
    assert.match(
      table[1]!,
      /^act-[0-9a-f]{32} +alice deleted Deployment web in shop +alice +Deployment\/web +human +\d+s$/
    )
    const everywhere = await activity.cluster.kubectl("bob", ["get", "activities", "--all-namespaces"])
    assert.include(everywhere.stderr, "Forbidden")
  })
})

const groupPath = "/apis/activity.miloapis.com/v1alpha1"
const policyPath = `${groupPath}/activitypolicies/shop-widget`

const withoutGeneratedNames = (summary: string): string =>
  summary
    .replaceAll(/web-[0-9a-f]{6,10}-[0-9a-z]{5}/g, "web-RS-POD")
    .replaceAll(/web-[0-9a-f]{6,10}/g, "web-RS")
    .replaceAll(/task-[0-9a-z]{5}/g, "task-POD")

const distinct = (activities: ReadonlyArray<ListedActivity>): ReadonlyArray<string> =>
  [...new Set(activities.map(({ spec }) => withoutGeneratedNames(spec.summary)))].toSorted()
