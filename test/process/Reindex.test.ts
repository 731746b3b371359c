import { assert, describe, it } from "vitest"
import { activityFrom } from "../serve/apiFixture.ts"
import { type Reindexed, reindexed, type Retold } from "../../src/process/Reindex.ts"
import type { Evaluation, Matched } from "../../src/process/PolicySet.ts"
import type { Activity } from "../../src/domain/Activity.ts"

const activity = activityFrom({ id: "a" }, Date.UTC(2026, 10, 1))

const told = (one: Activity): Matched => ({
  _tag: "Matched",
  activity: one,
  json: JSON.stringify(one),
  key: one.metadata.uid,
  sourceVersion: "version",
  subject: "activities.now",
  mark: "added",
  order: 0n
})

const stored = (one: Activity): Retold["stored"] => ({
  json: JSON.stringify(one),
  policy: one.spec.policy.name,
  generation: one.spec.policy.generation
})

const withSpec = (changes: Partial<Activity["spec"]>): Activity => ({
  ...activity,
  spec: { ...activity.spec, ...changes }
})

const nothing: Evaluation = { _tag: "NotMatched", reason: "no_matching_rule" }

const outcome = (evaluation: Evaluation, before: Retold["stored"], chosen = "apps-deployment") =>
  reindexed({ evaluation, stored: before, sourceVersion: "version" }, (policy) => policy === chosen, "job")

const marks = (result: Reindexed | undefined) => [result?.outcome, ...(result?.messages ?? []).map(({ mark }) => mark)]

describe("what a reindex does about one fact", () => {
  it("another generation of the policy by itself changes nothing", () => {
    const next = withSpec({ policy: { ...activity.spec.policy, generation: 7 } })
    assert.deepStrictEqual(marks(outcome(told(next), stored(activity))), ["same"])
  })

  it("what was missing is added, what differs modified, what no rule tells deleted", () => {
    const next = withSpec({ summary: "other" })
    assert.deepStrictEqual(marks(outcome(told(activity), undefined)), ["new", "added"])
    assert.deepStrictEqual(marks(outcome(told(next), stored(activity))), ["changed", "modified"])
    const lost = outcome(nothing, stored(activity))
    assert.deepStrictEqual(marks(lost), ["lost", "deleted"])
    assert.strictEqual(lost?.messages[0]?.json, JSON.stringify(activity))
  })

  it("an activity of another tenant is another row: the one before is deleted", () => {
    const next = withSpec({ tenant: { type: "Project", name: "a" } })
    assert.deepStrictEqual(marks(outcome(told(next), stored(activity))), ["changed", "deleted", "added"])
  })

  it("a rule that fails leaves what was told", () => {
    const failed: Evaluation = {
      _tag: "Failed",
      policy: "apps-deployment",
      generation: 2,
      rule: "audit-0",
      cause: "no such key",
      position: { expression: "match", line: 1, column: 1 }
    }
    assert.deepStrictEqual(marks(outcome(failed, stored(activity))), ["error"])
  })

  it("what other policies tell, and told, is left alone", () => {
    assert.isUndefined(outcome(told(activity), undefined, "another"))
    assert.isUndefined(outcome(nothing, stored(activity), "another"))
    assert.isUndefined(outcome(nothing, undefined))
  })
})
