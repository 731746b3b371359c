/** PolicyPreview: what a policy would make of the inputs that it is given. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Api, group, startApi, type UserName } from "./apiFixture.ts"

const platformTenant = { type: "Platform", name: "" }

const policy = {
  resource: { apiGroup: "", kind: "ConfigMap" },
  auditRules: [
    {
      name: "created",
      match: "audit.verb == 'create'",
      summary: "{{ actor }} created {{ kind }} {{ audit.objectRef.name }}"
    },
    {
      name: "deleted",
      match: "audit.verb == 'delete'",
      summary: "{{ actor }} deleted {{ link(kind + ' ' + audit.objectRef.name, audit.objectRef) }}"
    },
    { name: "refused", outcome: "Failure", match: "true", summary: "{{ actor }} was refused" },
    { name: "scaled", match: "audit.requestObject.data.size > 3", summary: "{{ actor }} made it larger" },
    { name: "updated", match: "audit.verb == 'update'", summary: "{{ actor }} updated one of the {{ kindPlural }}" }
  ]
}

/** As a person would write it by hand. */
const given = (more: object = {}) => ({
  type: "audit",
  audit: {
    verb: "delete",
    user: { username: "alice" },
    objectRef: { resource: "configmaps", namespace: "team-1", name: "web", apiVersion: "v1" },
    ...more
  }
})

describe("policy previews", () => {
  let api: Api

  const post = (spec: object, user: UserName = "admin", more: object = {}) =>
    api.request(user, `${group}/policypreviews`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        apiVersion: "activity.miloapis.com/v1alpha1",
        kind: "PolicyPreview",
        metadata: { creationTimestamp: null },
        spec,
        status: {},
        ...more
      })
    })
  const statusOf = async (spec: object, user: UserName = "admin") => {
    const answer = await post(spec, user)
    expect([answer.status, answer.text.slice(0, 300)]).toEqual([201, expect.any(String)])
    return answer.json().status
  }
  const causesOf = async (spec: object) => {
    const answer = await post(spec)
    expect(answer.status).toBe(422)
    return answer
      .json()
      .details.causes.map(({ field, message }: { field: string; message: string }) => `${field}: ${message}`)
  }

  beforeAll(async () => {
    api = await startApi()
  })
  afterAll(() => api[Symbol.asyncDispose]())

  describe("of inputs", () => {
    it("comes back as it was sent, with its status filled in, 201", async () => {
      const answer = await post({ policy, inputs: [given()] })
      const { apiVersion, kind, metadata, spec, status } = answer.json()
      expect([answer.status, apiVersion, kind, metadata]).toEqual([
        201,
        "activity.miloapis.com/v1alpha1",
        "PolicyPreview",
        {}
      ])
      expect(spec).toEqual({ policy, inputs: [given()] })
      expect(Object.keys(status).toSorted()).toEqual(["activities", "kindLabel", "kindLabelPlural", "results"])
      expect([status.kindLabel, status.kindLabelPlural]).toEqual(["Config Map", "Config Maps"])
      expect(status.activities).toHaveLength(1)
      expect(status.activities[0]).toMatchObject({
        apiVersion: "activity.miloapis.com/v1alpha1",
        kind: "Activity",
        metadata: { namespace: "team-1" },
        spec: {
          summary: "alice deleted Config Map web",
          changeSource: "human",
          actor: { type: "user", name: "alice" },
          resource: { kind: "ConfigMap", name: "web", namespace: "team-1" },
          links: [{ marker: "Config Map web" }],
          tenant: platformTenant,
          policy: { name: "preview", rule: "deleted" }
        }
      })
    })

    it("each rule says what became of it", async () => {
      const { results } = await statusOf({
        policy,
        inputs: [given(), given({ verb: "update" }), given({ verb: "get", requestObject: { data: { size: 1 } } })]
      })
      expect(results[0]).toEqual({
        inputIndex: 0,
        matched: true,
        matchedRuleIndex: 1,
        matchedRuleType: "audit",
        matchedRuleName: "deleted",
        rules: [
          { type: "audit", index: 0, name: "created", result: "NotMatched" },
          { type: "audit", index: 1, name: "deleted", result: "Matched" },
          ...["refused", "scaled", "updated"].map((name, index) => ({
            type: "audit",
            index: index + 2,
            name,
            result: "NotAsked",
            reason: "rule deleted won before it"
          }))
        ]
      })
      expect(results[1]).toMatchObject({ inputIndex: 1, matched: false, matchedRuleIndex: -1 })
      expect(results[1].error).toMatch(/^rule scaled: match, line 1, column \d+: .*data/)
      expect(results[1].rules.slice(2)).toEqual([
        {
          type: "audit",
          index: 2,
          name: "refused",
          result: "NotAsked",
          reason: "the rule is for the outcome Failure, the request ended in Success"
        },
        {
          type: "audit",
          index: 3,
          name: "scaled",
          result: "Failed",
          reason: expect.stringContaining("data"),
          expression: "match",
          line: 1,
          column: expect.any(Number)
        },
        { type: "audit", index: 4, name: "updated", result: "NotAsked", reason: "rule scaled failed before it" }
      ])
      expect(results[2]).toMatchObject({ matched: false, matchedRuleIndex: -1, reason: "no rule matches" })
      expect(results[2]).not.toHaveProperty("error")
    })

    it("labels of the preview are seen by the rules", async () => {
      const status = await statusOf({
        policy: { ...policy, auditRules: policy.auditRules.slice(4) },
        kindLabel: "setting",
        kindLabelPlural: "settings of yours",
        inputs: [given({ verb: "update" })]
      })
      expect([status.kindLabel, status.kindLabelPlural]).toEqual(["setting", "settings of yours"])
      expect(status.activities[0].spec.summary).toBe("alice updated one of the settings of yours")
    })

    it("Events of both versions, other kinds, dry runs and what is no record", async () => {
      const eventPolicy = {
        resource: { apiGroup: "", kind: "Pod" },
        eventRules: [{ match: "event.reason == 'Killing'", summary: "{{ event.regarding.name }}: {{ event.note }}" }]
      }
      const { activities, results } = await statusOf({
        policy: eventPolicy,
        inputs: [
          {
            type: "event",
            event: {
              involvedObject: { kind: "Pod", apiVersion: "v1", name: "web" },
              reason: "Killing",
              message: "Stopping"
            }
          },
          { type: "event", event: { regarding: { kind: "Node", apiVersion: "v1", name: "n" }, reason: "Killing" } },
          { type: "audit", audit: { verb: "delete" } },
          { type: "audit", audit: { objectRef: { resource: "pods" } } },
          { type: "audit", audit: { verb: "delete", objectRef: { resource: "pods" }, requestURI: "/x?dryRun=All" } }
        ]
      })
      expect(activities.map(({ spec }: { spec: { summary: string } }) => spec.summary)).toEqual(["web: Stopping"])
      expect(
        results.map(({ error, matchedRuleName, reason }: Record<string, string>) => matchedRuleName ?? error ?? reason)
      ).toEqual([
        "event-0",
        "it is about another kind than the policy",
        "the record is about no resource: it has no objectRef",
        "verb: it is missing",
        "a dry run changed nothing"
      ])
    })

    it("without anything to try it on, the policy is checked", async () => {
      expect(await statusOf({ policy })).toMatchObject({ activities: [], results: [] })
    })

    it("what is wrong with the policy is refused as when it is written, one level down", async () => {
      const wrong = {
        resource: { kind: "ConfigMap" },
        auditRules: [{ match: "audit.verb ==", summary: "{{ nothing }}" }]
      }
      const written = await api.request("admin", `${group}/activitypolicies`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          apiVersion: "activity.miloapis.com/v1alpha1",
          kind: "ActivityPolicy",
          metadata: { name: "preview" },
          spec: wrong
        })
      })
      const causes: ReadonlyArray<{ field: string; message: string }> = written.json().details.causes
      expect(causes).toHaveLength(2)
      expect(await causesOf({ policy: wrong, inputs: [given()] })).toEqual(
        causes.map(({ field, message }) => `${field.replace("spec.", "spec.policy.")}: ${message}`)
      )
    })

    it("every fault of the question is told", async () => {
      expect(await causesOf({ inputs: [{ type: "log" }, { type: "event" }, {}] })).toEqual([
        "spec.policy: Required value",
        'spec.inputs[0].type: Unsupported value: "log": supported values: "audit", "event"',
        "spec.inputs[1].event: Required value",
        "spec.inputs[2].type: Required value"
      ])
      expect(await causesOf({ policy, inputs: [given()], autoFetch: {} })).toEqual([
        "spec.autoFetch: Forbidden: there is spec.inputs already: a policy is tried on one of inputs, autoFetch, backtest"
      ])
      expect(await causesOf({ policy, autoFetch: { limit: 51, sources: "all", timeRange: "soon" } })).toEqual([
        expect.stringMatching(/^spec.autoFetch.timeRange: Invalid value: "soon" is no time/),
        'spec.autoFetch.sources: Unsupported value: "all": supported values: "audit", "events", "both"',
        "spec.autoFetch.limit: Invalid value: 51: must be from 0 to 50"
      ])
      expect(await causesOf({ policy, inputs: Array.from({ length: 501 }, () => given()) })).toEqual([
        "spec.inputs: Too many: 501: must have at most 500 items"
      ])
    })

    it("who may not create it gets none", async () => {
      expect((await post({ policy, inputs: [given()] }, "nobody")).status).toBe(403)
    })
  })
})
