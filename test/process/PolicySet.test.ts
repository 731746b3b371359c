import { assert, describe, it } from "@effect/vitest"
import type { PolicyRule } from "../../src/domain/ActivityPolicy.ts"
import type { AuditRecord, Json } from "../../src/domain/AuditRecord.ts"
import { activityKey } from "../../src/domain/identity.ts"
import type { Evaluation, Failed, Matched } from "../../src/process/PolicySet.ts"
import { PolicySet } from "../../src/process/PolicySet.ts"
import {
  deploymentPolicy,
  event,
  policyOf,
  policySet,
  record,
  recordOf,
  deploymentCreated,
  seedPolicy
} from "./scenarios.ts"

const matched = (evaluation: Evaluation): Matched => {
  if (evaluation._tag !== "Matched") throw new Error(JSON.stringify(evaluation))
  return evaluation
}

const failed = (evaluation: Evaluation): Failed => {
  if (evaluation._tag !== "Failed") throw new Error(evaluation._tag)
  return evaluation
}

const reason = (evaluation: Evaluation): string =>
  evaluation._tag === "NotMatched" ? evaluation.reason : evaluation._tag

const any: PolicyRule = { name: "any", match: "true", summary: "{{ audit.verb }} {{ audit.objectRef.name }}" }

const told = (rules: ReadonlyArray<PolicyRule>, of: AuditRecord = record()): string =>
  matched(policySet([deploymentPolicy(rules)]).evaluateAudit(of)).activity.spec.summary

const show = (summary: string, of?: AuditRecord): string => told([{ match: "true", summary, outcome: "Any" }], of)

describe("an activity of an audit record", () => {
  const created = matched(
    policySet([
      deploymentPolicy([
        {
          name: "create",
          match: "audit.verb == 'create'",
          summary: "{{ actor }} created {{ link(kind + ' ' + audit.objectRef.name, audit.responseObject) }}"
        }
      ])
    ]).evaluateAudit(record())
  )
  const key = activityKey("dev", "audit", record().key)
  const deployment = {
    apiGroup: "apps",
    apiVersion: "v1",
    kind: "Deployment",
    name: "web",
    namespace: "team-1",
    uid: "dep-1"
  }

  it("has all that the seed shows, in one order of fields", () => {
    assert.deepStrictEqual(created.activity, {
      apiVersion: "activity.miloapis.com/v1alpha1",
      kind: "Activity",
      metadata: {
        name: `act-${key.replaceAll("-", "")}`,
        namespace: "team-1",
        uid: key,
        creationTimestamp: "2026-11-20T15:07:46Z",
        labels: {
          "activity.miloapis.com/origin-type": "audit",
          "activity.miloapis.com/change-source": "human",
          "activity.miloapis.com/api-group": "apps",
          "activity.miloapis.com/resource-kind": "Deployment",
          "activity.miloapis.com/policy-name": "apps-deployment"
        }
      },
      spec: {
        summary: "alice@example.com created Deployment web",
        changeSource: "human",
        timestamp: "2026-11-20T15:07:46.123456Z",
        cluster: "dev",
        actor: { type: "user", name: "alice@example.com", uid: "user-12345", email: "alice@example.com" },
        resource: deployment,
        links: [{ marker: "Deployment web", start: 26, end: 40, resource: deployment }],
        tenant: { type: "Platform", name: "" },
        outcome: "Success",
        statusCode: 201,
        sourceIP: "192.0.2.7",
        verb: "create",
        origin: { type: "audit", id: "11111111-2222-4333-8444-555555555555" },
        policy: { name: "apps-deployment", generation: 1, rule: "create" }
      }
    })
    assert.strictEqual(created.json, JSON.stringify(created.activity))
    assert.deepStrictEqual(Object.keys(created.activity.spec), [
      "summary",
      "changeSource",
      "timestamp",
      "cluster",
      "actor",
      "resource",
      "links",
      "tenant",
      "outcome",
      "statusCode",
      "sourceIP",
      "verb",
      "origin",
      "policy"
    ])
  })

  it("travels with its key, its source's version, subject, mark and order", () => {
    const { key: found, sourceVersion, subject, mark, order } = created
    assert.deepStrictEqual(
      { found, sourceVersion, subject, mark, order },
      {
        found: key,
        sourceVersion: record().key,
        subject: "activities.platform._.apps.audit.Deployment.team-1.web",
        mark: "added",
        order: 0n
      }
    )
  })

  it("leaves out labels that Kubernetes would refuse", () => {
    const pods = policyOf("a".repeat(64), { resource: { apiGroup: "", kind: "Pod" }, auditRules: [any] })
    const { labels } = matched(
      policySet([pods]).evaluateAudit(
        record({ objectRef: { resource: "pods", name: "web" }, responseObject: {}, requestObject: {} })
      )
    ).activity.metadata
    assert.deepStrictEqual(Object.keys(labels), [
      "activity.miloapis.com/origin-type",
      "activity.miloapis.com/change-source",
      "activity.miloapis.com/resource-kind"
    ])
  })

  it("is the same bytes when it is evaluated again", () => {
    const again = policySet([seedPolicy, deploymentPolicy([any])])
    assert.strictEqual(matched(again.evaluateAudit(record())).json, matched(again.evaluateAudit(record())).json)
  })
})

describe("an activity of an Event", () => {
  const policies = policySet([
    deploymentPolicy(
      [],
      [
        {
          name: "any",
          match: "true",
          summary: "{{ link(kind + ' ' + event.regarding.name, event.regarding) }}: {{ event.note }}"
        }
      ]
    )
  ])

  it("has the Event's times, count, reason and order", () => {
    const seen = matched(
      policies.evaluateEvent(
        event({ series: { count: 7, lastObservedTime: "2026-11-20T16:00:00.500000Z" } }),
        "modified"
      )
    )
    const { spec, metadata } = seen.activity
    const deployment = {
      apiGroup: "apps",
      apiVersion: "v1",
      kind: "Deployment",
      name: "web",
      namespace: "team-1",
      uid: "dep-1"
    }
    assert.deepStrictEqual(spec, {
      summary: "Deployment web: Scaled up replica set web-66d47686b4 from 0 to 3",
      changeSource: "system",
      timestamp: "2026-11-20T15:07:46.000000Z",
      lastTimestamp: "2026-11-20T16:00:00.500000Z",
      count: 7,
      cluster: "dev",
      actor: { type: "controller", name: "deployment-controller" },
      resource: deployment,
      links: [{ marker: "Deployment web", start: 0, end: 14, resource: deployment }],
      tenant: { type: "Platform", name: "" },
      outcome: "Success",
      reason: "ScalingReplicaSet",
      origin: { type: "event", id: "ev-1" },
      policy: { name: "apps-deployment", generation: 1, rule: "any" }
    })
    assert.strictEqual(metadata.uid, activityKey("dev", "event", "ev-1"))
    assert.strictEqual(metadata.labels["activity.miloapis.com/event-reason"], "ScalingReplicaSet")
    assert.strictEqual(seen.subject, "activities.platform._.apps.event.Deployment.team-1.web")
    assert.deepStrictEqual([seen.mark, seen.order], ["modified", 350n])
  })

  it("keeps one key, one creation and one name through all sights", () => {
    const first = matched(policies.evaluateEvent(event(), "added"))
    const later = matched(
      policies.evaluateEvent(
        event({ metadata: { ...(event().body["metadata"] as object), resourceVersion: "999" }, deprecatedCount: 2 }),
        "modified"
      )
    )
    assert.strictEqual(first.key, later.key)
    assert.notStrictEqual(first.sourceVersion, later.sourceVersion)
    assert.deepStrictEqual(first.activity.metadata, later.activity.metadata)
  })

  it("says nothing of the resourceVersion: the same sight in another list is the same bytes", () => {
    const moved = event({ metadata: { ...(event().body["metadata"] as object), resourceVersion: "999" } })
    assert.strictEqual(
      matched(policies.evaluateEvent(event(), "added")).json,
      matched(policies.evaluateEvent(moved, "added")).json
    )
  })

  it("of another kind is not asked for", () => {
    const pod = event({ regarding: { kind: "Pod", name: "web", apiVersion: "v1" } })
    assert.strictEqual(reason(policies.evaluateEvent(pod, "added")), "no_matching_policy")
    const otherGroup = event({ regarding: { kind: "Deployment", name: "web", apiVersion: "example.com/v1" } })
    assert.strictEqual(reason(policies.evaluateEvent(otherGroup, "added")), "no_matching_policy")
  })

  it("without a reason can still be asked for it", () => {
    const byReason = policySet([deploymentPolicy([], [{ match: "event.reason == ''", summary: "no reason" }])])
    assert.strictEqual(
      matched(byReason.evaluateEvent(event({ reason: "" }), "added")).activity.spec.summary,
      "no reason"
    )
  })
})

describe("rules", () => {
  const one = (name: string): PolicyRule => ({ match: "true", summary: name })

  it("are asked in their order, policies in that of their names", () => {
    assert.strictEqual(told([{ match: "false", summary: "a" }, one("b"), one("c")]), "b")
    const named = (name: string) => deploymentPolicy([one(name)], [], name)
    for (const names of [
      ["a", "b", "c"],
      ["c", "b", "a"],
      ["b", "c", "a"]
    ]) {
      assert.strictEqual(matched(policySet(names.map(named)).evaluateAudit(record())).activity.spec.policy.name, "a")
    }
  })

  it("of a policy that does not match leave the record to the next", () => {
    const policies = policySet([
      deploymentPolicy([{ match: "false", summary: "a" }], [], "a"),
      deploymentPolicy([one("b")], [], "b")
    ])
    assert.strictEqual(matched(policies.evaluateAudit(record())).activity.spec.policy.name, "b")
    assert.strictEqual(
      reason(policySet([deploymentPolicy([{ match: "false", summary: "a" }])]).evaluateAudit(record())),
      "no_matching_rule"
    )
  })

  it("that fail end the record, also for later policies", () => {
    const policies = policySet([
      deploymentPolicy([{ name: "bad", match: "audit.nothing == 'x'", summary: "x" }, one("b")], [], "a"),
      deploymentPolicy([one("c")], [], "b")
    ])
    assert.deepStrictEqual(failed(policies.evaluateAudit(record())), {
      _tag: "Failed",
      policy: "a",
      generation: 1,
      rule: "bad",
      cause: "No such key: nothing",
      position: { expression: "match", line: 1, column: 7 }
    })
  })

  it("that fail in their summary name the place in it", () => {
    const { position, cause } = failed(
      policySet([
        deploymentPolicy([{ match: "true", summary: "first\n{{ actor }} {{ audit.nothing }}" }])
      ]).evaluateAudit(record())
    )
    assert.deepStrictEqual(position, { expression: "summary", line: 2, column: 22 })
    assert.strictEqual(cause, "No such key: nothing")
  })

  it("never show null or nothing at all", () => {
    const set = (summary: string) => policySet([deploymentPolicy([{ match: "true", summary }])])
    assert.match(failed(set("{{ audit.nil }}").evaluateAudit(record({ nil: null }))).cause, /null/)
    assert.match(failed(set("{{ audit.text }}").evaluateAudit(record({ text: " " }))).cause, /empty/)
    assert.match(failed(set("{{ audit.text }}").evaluateAudit(record({ text: "x".repeat(9_000) }))).cause, /8192/)
  })

  it("see missing parts of a record as empty", () => {
    const bare = record({
      user: undefined,
      responseStatus: undefined,
      responseObject: undefined,
      requestObject: undefined
    })
    assert.strictEqual(
      show(
        "{{ has(audit.user.username) || has(audit.responseStatus.code) || has(audit.responseObject.kind) || has(audit.requestObject.kind) ? 'some' : 'none' }}",
        bare
      ),
      "none"
    )
  })

  it("summaries are one line", () => {
    assert.strictEqual(show("{{ audit.text }}\nend", record({ text: "a\r\n\tb\u2028c" })), "a b c end")
  })

  it("see the kind's labels", () => {
    assert.strictEqual(show("{{ kind }}, {{ kindPlural }}"), "Deployment, Deployments")
    const labelled = policyOf("p", {
      resource: { apiGroup: "apps", kind: "Deployment" },
      kindLabel: "rollout",
      auditRules: [{ match: "true", summary: "{{ kind }}, {{ kindPlural }}" }]
    })
    assert.strictEqual(
      matched(policySet([labelled]).evaluateAudit(record())).activity.spec.summary,
      "rollout, rollouts"
    )
  })
})

describe("what never becomes an activity", () => {
  const policies = policySet([deploymentPolicy([{ ...any, outcome: "Any" }])])
  const table: ReadonlyArray<readonly [string, { readonly [name: string]: Json | undefined }, string]> = [
    ["a request without an object", { objectRef: undefined }, "no_object_ref"],
    ["a dry run", { requestURI: "/apis/apps/v1/namespaces/team-1/deployments?dryRun=All" }, "dry_run"],
    ["a request that was only received", { stage: "RequestReceived" }, "stage"],
    ["an answer that only began", { stage: "ResponseStarted" }, "stage"],
    [
      "a resource without a policy",
      { objectRef: { resource: "pods", name: "x" }, responseObject: {}, requestObject: {} },
      "no_matching_policy"
    ],
    [
      "a resource of the same name in another group",
      {
        objectRef: { resource: "deployments", name: "x", apiGroup: "example.com" },
        responseObject: {},
        requestObject: {}
      },
      "no_matching_policy"
    ]
  ]
  for (const [name, changes, expected] of table) {
    it(name, () => assert.strictEqual(reason(policies.evaluateAudit(record(changes))), expected))
  }

  it("anything, without policies", () => {
    assert.strictEqual(reason(PolicySet.empty.evaluateAudit(record())), "no_matching_policy")
    assert.strictEqual(reason(PolicySet.empty.evaluateEvent(event(), "added")), "no_matching_policy")
  })
})

describe("what has to be read of a record", () => {
  const asked = (rule: Partial<PolicyRule>, changes: { readonly [name: string]: Json | undefined } = {}) => {
    const parts = policySet([deploymentPolicy([{ match: "true", summary: "x", ...rule }])]).partsAsked(record(changes))
    return typeof parts === "object" ? parts.reason : parts
  }
  const reference = (changes: object) => ({ objectRef: { ...(deploymentCreated["objectRef"] as object), ...changes } })

  it("is nothing where no rule can match", () => {
    assert.strictEqual(asked({}, { objectRef: undefined }), "no_object_ref")
    assert.strictEqual(asked({}, { stage: "ResponseStarted" }), "stage")
    assert.strictEqual(asked({}, reference({ resource: "pods", apiGroup: "" })), "no_matching_policy")
    assert.strictEqual(asked({ match: "audit.verb == 'delete'" }), "no_matching_rule")
    assert.strictEqual(asked({ outcome: "Failure" }), "no_matching_rule")
    const scale = "has(audit.objectRef.subresource) && audit.objectRef.subresource == 'scale'"
    assert.strictEqual(asked({ match: scale }), "no_matching_rule")
    assert.strictEqual(asked({ match: scale }, reference({ subresource: "status" })), "no_matching_rule")
    assert.strictEqual(asked({ match: scale }, reference({ subresource: "scale" })), "outlines")
  })

  it("is outlines of its bodies where rules only link to them, else the bodies", () => {
    assert.strictEqual(asked({ summary: "{{ link('it', audit.responseObject) }}" }), "outlines")
    assert.strictEqual(asked({ summary: "{{ link(audit.responseObject.kind, audit.objectRef) }}" }), "bodies")
    assert.strictEqual(asked({ match: "has(audit.requestObject.spec)" }), "bodies")
    assert.strictEqual(asked({ match: "size(audit) > 3" }), "bodies")
    assert.strictEqual(asked({ match: "audit.verb == 'get' && has(audit.requestObject.spec)" }), "no_matching_rule")
  })

  it("is what any kind of its group asks for, where only a body tells its kind", () => {
    const fox = { resource: "vixen", apiGroup: "example.com" }
    const policy = policyOf("fox", {
      resource: { apiGroup: "example.com", kind: "Fox" },
      auditRules: [{ match: "true", summary: "x" }]
    })
    assert.strictEqual(policySet([policy]).partsAsked(record(reference(fox))), "outlines")
  })
})

describe("subresources", () => {
  const at = (subresource: string) =>
    record({ objectRef: { ...(deploymentCreated["objectRef"] as object), subresource }, verb: "update" })
  const see = (match: string, subresource: string): boolean =>
    policySet([deploymentPolicy([{ match, summary: "x" }])]).evaluateAudit(at(subresource))._tag === "Matched"

  it("a rule that does not mention them sees main resources and scale only", () => {
    assert.isTrue(see("audit.verb == 'update'", ""))
    assert.isTrue(see("audit.verb == 'update'", "scale"))
    for (const name of ["status", "finalize", "binding", "token", "exec"]) {
      assert.isFalse(see("audit.verb == 'update'", name))
      assert.isFalse(see("audit.verb != 'subresource'", name))
    }
  })

  it("a rule that mentions them sees all", () => {
    assert.isTrue(see("has(audit.objectRef.subresource) && audit.objectRef.subresource == 'status'", "status"))
    assert.isTrue(see("audit.objectRef['subresource'] != ''", "status"))
  })
})

describe("outcomes", () => {
  const outcomeOf = (changes: { readonly [name: string]: Json | undefined }): ReadonlyArray<string> => {
    const rules = ["Success", "Failure", "Any"] as const
    return rules.filter(
      (outcome) =>
        policySet([deploymentPolicy([{ match: "true", summary: "x", outcome }])]).evaluateAudit(record(changes))
          ._tag === "Matched"
    )
  }

  it("rules see what succeeded unless they say otherwise", () => {
    for (const code of [200, 201, 202, 204])
      assert.deepStrictEqual(outcomeOf({ responseStatus: { code } }), ["Success", "Any"])
    assert.deepStrictEqual(outcomeOf({ responseStatus: { code: 101 } }), ["Success", "Any"])
    for (const code of [301, 400, 403, 404, 409, 422, 500, 504]) {
      assert.deepStrictEqual(outcomeOf({ responseStatus: { code } }), ["Failure", "Any"])
    }
    assert.deepStrictEqual(outcomeOf({ stage: "Panic", responseStatus: { code: 200 } }), ["Failure", "Any"])
  })

  it("a record that does not say how it ended is neither", () => {
    for (const responseStatus of [undefined, {}, { code: 0 }, { code: "201" }]) {
      assert.deepStrictEqual(outcomeOf({ responseStatus }), ["Any"])
    }
  })

  it("the activity carries outcome and code", () => {
    const { spec } = matched(
      policySet([deploymentPolicy([{ ...any, outcome: "Failure" }])]).evaluateAudit(
        record({ responseStatus: { code: 409 } })
      )
    ).activity
    assert.deepStrictEqual([spec.outcome, spec.statusCode], ["Failure", 409])
  })
})

describe("completion", () => {
  const unnamed = { resource: "deployments", apiGroup: "apps", apiVersion: "v1" }
  const completed = (changes: { readonly [name: string]: Json | undefined }) =>
    matched(
      policySet([
        deploymentPolicy([
          {
            match: "true",
            outcome: "Any",
            summary: "{{ has(audit.objectRef.name) ? audit.objectRef.name : 'nothing' }}"
          }
        ])
      ]).evaluateAudit(record({ objectRef: unnamed, ...changes }))
    ).activity.spec

  it("takes name, namespace and uid from the answer, then from the request", () => {
    const { summary, resource } = completed({})
    assert.strictEqual(summary, "web")
    assert.deepStrictEqual([resource.name, resource.namespace, resource.uid], ["web", "team-1", "dep-1"])
    const fromRequest = completed({
      responseObject: undefined,
      requestObject: { metadata: { name: "req", uid: "r1" } }
    })
    assert.deepStrictEqual([fromRequest.summary, fromRequest.resource.uid], ["req", "r1"])
  })

  it("never overwrites what the record says", () => {
    const { summary, resource } = completed({ objectRef: { ...unnamed, name: "given", namespace: "ns", uid: "u" } })
    assert.deepStrictEqual([summary, resource.namespace, resource.uid], ["given", "ns", "u"])
  })

  it("takes a deleted object's uid from the Status that answered, never its name", () => {
    const status = {
      kind: "Status",
      apiVersion: "v1",
      metadata: { name: "no" },
      details: { name: "gone", uid: "gone-1" }
    }
    const { summary, resource } = completed({
      verb: "delete",
      objectRef: { ...unnamed, name: "web" },
      requestObject: undefined,
      responseObject: status
    })
    assert.deepStrictEqual([summary, resource.uid], ["web", "gone-1"])
  })

  it("shows the generateName of a create that got no name", () => {
    assert.strictEqual(
      completed({
        responseStatus: { code: 403 },
        requestObject: { kind: "Deployment", apiVersion: "apps/v1", metadata: { generateName: "web-" } },
        responseObject: { kind: "Status", apiVersion: "v1", metadata: {}, code: 403 }
      }).summary,
      "web-"
    )
  })

  it("lives with a patch that is a list, and with truncated bodies", () => {
    assert.strictEqual(
      completed({
        verb: "patch",
        objectRef: { ...unnamed, name: "web" },
        requestObject: [{ op: "replace", path: "/spec/replicas", value: 5 }],
        responseObject: undefined,
        annotations: { "audit.k8s.io/truncated": "true" }
      }).summary,
      "web"
    )
  })

  it("leaves the stored record as it was sent", () => {
    const original = record({ objectRef: unnamed })
    const before = JSON.stringify(original.body)
    policySet([deploymentPolicy([any])]).evaluateAudit(original)
    assert.strictEqual(JSON.stringify(original.body), before)
  })
})

describe("kinds", () => {
  const fox = (kind: string, plural?: string) =>
    policyOf(kind.toLowerCase(), {
      resource: { apiGroup: "example.com", kind, ...(plural === undefined ? {} : { plural }) },
      auditRules: [{ match: "true", summary: "x" }]
    })
  const asked = (resource: string, responseObject: Json | undefined, verb = "create") =>
    record({
      objectRef: { resource, apiGroup: "example.com", name: "x" },
      responseObject,
      requestObject: undefined,
      verb
    })
  const kindOf = (evaluation: Evaluation): string =>
    evaluation._tag === "Matched" ? evaluation.activity.spec.resource.kind : reason(evaluation)

  it("come from the record's body", () => {
    const policies = policySet([fox("Fox"), fox("Foxes")])
    assert.strictEqual(
      kindOf(policies.evaluateAudit(asked("vixen", { kind: "Fox", apiVersion: "example.com/v1" }))),
      "Fox"
    )
    assert.strictEqual(
      kindOf(policies.evaluateAudit(asked("foxes", { kind: "Foxes", apiVersion: "example.com/v1" }))),
      "Foxes"
    )
  })

  it("come from English where the body is a Status, of another group, a list, or metadata only", () => {
    const policies = policySet([fox("Fox")])
    for (const [body, verb] of [
      [undefined, "patch"],
      [{ kind: "Status", apiVersion: "v1" }, "delete"],
      [{ kind: "Table", apiVersion: "meta.k8s.io/v1" }, "create"],
      [{ kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1" }, "patch"],
      [{ kind: "FoxList", apiVersion: "example.com/v1" }, "deletecollection"]
    ] as const)
      assert.strictEqual(kindOf(policies.evaluateAudit(asked("foxes", body, verb))), "Fox")
  })

  it("come from the plural that the policy names", () => {
    const policies = policySet([fox("Fox", "vixen")])
    assert.strictEqual(kindOf(policies.evaluateAudit(asked("vixen", undefined))), "Fox")
    assert.strictEqual(kindOf(policies.evaluateAudit(asked("foxes", undefined))), "no_matching_policy")
  })

  it("come from discovery first", () => {
    const policies = policySet([fox("Fox")], (group, resource) =>
      group === "example.com" && resource === "vixen" ? "Fox" : undefined
    )
    assert.strictEqual(kindOf(policies.evaluateAudit(asked("vixen", undefined))), "Fox")
  })
})

describe("links", () => {
  const links = (summary: string, of: AuditRecord = record()) =>
    (
      matched(policySet([deploymentPolicy([{ match: "true", summary, outcome: "Any" }])]).evaluateAudit(of)).activity
        .spec.links ?? []
    ).map(({ marker, start, end, resource }) => [marker, start, end, resource.kind, resource.name])

  it("stand where their text does, counted in UTF-16 units", () => {
    assert.deepStrictEqual(links("😀 {{ link('web', audit.objectRef) }} and {{ link('bob', actorRef) }}"), [
      ["web", 3, 6, "Deployment", "web"],
      ["bob", 11, 14, "user", "alice@example.com"]
    ])
  })

  it("with the same text are told apart", () => {
    assert.deepStrictEqual(
      links("web: {{ 'web ' + link('web', audit.objectRef) + ' web ' + link('web', actorRef) }}"),
      [
        ["web", 9, 12, "Deployment", "web"],
        ["web", 17, 20, "user", "alice@example.com"]
      ]
    )
    assert.deepStrictEqual(links("{{ [link('a', audit.objectRef), link('a', actorRef)].join(' ') }}"), [
      ["a", 0, 1, "Deployment", "web"],
      ["a", 2, 3, "user", "alice@example.com"]
    ])
  })

  it("are only those that are evaluated", () => {
    assert.deepStrictEqual(
      links("{{ actorRef.type == 'user' ? link('yes', audit.objectRef) : link('no', audit.objectRef) }}"),
      [["yes", 0, 3, "Deployment", "web"]]
    )
    assert.deepStrictEqual(links("{{ actorRef.type == 'system' ? link('yes', audit.objectRef) : 'nobody' }}"), [])
  })

  it("whose text is not in the summary are left out", () => {
    assert.deepStrictEqual(links("{{ link('web', audit.objectRef).upperAscii() }}"), [])
    assert.deepStrictEqual(links("x{{ link('', audit.objectRef) }}"), [])
  })

  it("inside one another keep their places", () => {
    assert.deepStrictEqual(links("{{ link('the ' + link('the', actorRef), audit.objectRef) }}"), [
      ["the the", 0, 7, "Deployment", "web"],
      ["the", 4, 7, "user", "alice@example.com"]
    ])
  })

  it("with a Status, a list, a Scale of the object or nothing as reference mean the object", () => {
    for (const responseObject of [
      { kind: "Status", apiVersion: "v1", details: { name: "web" } },
      { kind: "DeploymentList", apiVersion: "apps/v1", items: [] },
      { kind: "Scale", apiVersion: "autoscaling/v1", metadata: { name: "web" } },
      {},
      undefined
    ]) {
      assert.deepStrictEqual(
        links("{{ link('it', audit.responseObject) }}", record({ responseObject, verb: "delete" })),
        [["it", 0, 2, "Deployment", "web"]]
      )
    }
    assert.deepStrictEqual(links("{{ link('it', null) }}"), [["it", 0, 2, "Deployment", "web"]])
  })

  it("take group, version and identity from what they refer to", () => {
    const [link] =
      matched(
        policySet([deploymentPolicy([{ match: "true", summary: "{{ link('it', audit.other) }}" }])]).evaluateAudit(
          record({
            other: {
              kind: "HTTPProxy",
              apiVersion: "networking.datumapis.com/v1alpha",
              metadata: { name: "edge", namespace: "n", uid: "h1" }
            }
          })
        )
      ).activity.spec.links ?? []
    assert.deepStrictEqual(link?.resource, {
      apiGroup: "networking.datumapis.com",
      apiVersion: "v1alpha",
      kind: "HTTPProxy",
      name: "edge",
      namespace: "n",
      uid: "h1"
    })
    assert.deepStrictEqual(links("{{ link('pod', {'resource': 'pods', 'name': 'web-1'}) }}"), [
      ["pod", 0, 3, "Pod", "web-1"]
    ])
  })
})

describe("the seed's own policy", () => {
  it("tells a delete whose answer is a Status", () => {
    const deletion = recordOf({
      ...deploymentCreated,
      verb: "delete",
      requestURI: "/apis/networking.datumapis.com/v1alpha/namespaces/default/httpproxies/api-gateway",
      objectRef: {
        resource: "httpproxies",
        namespace: "default",
        name: "api-gateway",
        apiGroup: "networking.datumapis.com",
        apiVersion: "v1alpha"
      },
      requestObject: { kind: "DeleteOptions", apiVersion: "meta.k8s.io/__internal" },
      responseObject: {
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Success",
        details: { name: "api-gateway", uid: "resource-67890" }
      },
      responseStatus: { metadata: {}, status: "Success", code: 200 }
    })
    const { activity, subject } = matched(policySet([seedPolicy]).evaluateAudit(deletion))
    const resource = {
      apiGroup: "networking.datumapis.com",
      apiVersion: "v1alpha",
      kind: "HTTPProxy",
      name: "api-gateway",
      namespace: "default",
      uid: "resource-67890"
    }
    assert.strictEqual(activity.spec.summary, "alice@example.com deleted HTTP Proxy api-gateway")
    assert.deepStrictEqual(activity.spec.resource, resource)
    assert.deepStrictEqual(activity.spec.links, [{ marker: "HTTP Proxy api-gateway", start: 26, end: 48, resource }])
    assert.strictEqual(subject, "activities.platform._.networking_datumapis_com.audit.HTTPProxy.default.api-gateway")
  })
})
