/** What a PolicyPreview looks like to clients. */
import { activityPolicySpecSchema } from "./activityPolicySchema.ts"
import { activitySpecSchema } from "./activitySchema.ts"
import { choice, type JsonSchema, list, object, text, whole } from "./JsonSchema.ts"
import { metaReference } from "./metaSchemas.ts"

const timeForm = "RFC 3339, such as 2026-01-31T12:00:00Z, or now, or now-7d (units s, m, h, d, w)"

const anything = (description: string): JsonSchema => ({
  type: "object",
  description,
  "x-kubernetes-preserve-unknown-fields": true
})

const yesOrNo = (description: string): JsonSchema => ({ type: "boolean", description, default: false })

const input = (description: string): JsonSchema =>
  object(
    description,
    {
      type: choice(["audit", "event"], "audit: an audit record; event: a Kubernetes Event."),
      audit: anything(
        "An Event of audit.k8s.io/v1. Without auditID, requestURI or times these are made up; without a stage it is at its end, ResponseComplete; without a responseStatus it succeeded, with code 200."
      ),
      event: anything("An Event of v1 or events.k8s.io/v1. Without metadata.uid or times these are made up.")
    },
    ["type"]
  )

const activity = (description: string): JsonSchema =>
  object(description, {
    apiVersion: text("The version of the API."),
    kind: text("Activity."),
    metadata: { allOf: [metaReference("ObjectMeta")], description: "Standard object's metadata." },
    spec: activitySpecSchema
  })

const sources = choice(["audit", "events", "both"], "audit: audit records; events: Kubernetes Events; both, or none.")

const ruleType = choice(["audit", "event"], "audit for a rule of auditRules, event for one of eventRules.")

/** What a policy's change does to a fact. */
export const backtestOutcomes = ["same", "changed", "new", "lost", "error"] as const
export type BacktestOutcome = (typeof backtestOutcomes)[number]

const outcomeMeanings: Readonly<Record<BacktestOutcome, string>> = {
  same: "The activity is the same as before.",
  changed: "There was an activity, and it becomes another.",
  new: "There was no activity, and there is one.",
  lost: "There was an activity, and there is none.",
  error: "A rule fails, so that there is none."
}

export const previewSchemas = {
  spec: object(
    "A policy, and what it is tried on: inputs, autoFetch or backtest. Without any of them the policy is only checked.",
    {
      policy: { ...activityPolicySpecSchema, description: "The policy to try, as an ActivityPolicy's spec." },
      policyName: text(
        "Name of the ActivityPolicy that it would become. A backtest needs it: it compares with the one of that name, or with there being none, beside all others."
      ),
      kindLabel: text("The kind in words, in place of the policy's own kindLabel."),
      kindLabelPlural: text("The plural of kindLabel, in place of the policy's own."),
      namespace: text(
        "Only stored records and Events about this namespace. Callers without a tenant and without the right to the whole platform must give it for autoFetch and backtest."
      ),
      inputs: list("Records and Events to try it on: at most 500.", input("A record or an Event.")),
      autoFetch: object(
        "Tries it on what was stored, among what the caller may see. Those come first that a rule matches.",
        {
          limit: whole("The most inputs: 1 to 50; 0, or none, is 10.", "int32"),
          timeRange: text(
            "How far back to look: a whole number and a unit (s, m, h, d, w), such as 7d. Without it 24h."
          ),
          sources
        }
      ),
      backtest: object(
        "Compares the policy with what is in effect, over everything of its kind that was stored in a time, among what the caller may see. One at a time for each user.",
        {
          timeRange: object("The time. Without it the last day.", {
            start: text(`Where the time begins: ${timeForm}. Without it a day before its end.`),
            end: text(`Where the time ends, after start: ${timeForm}. Without it now.`)
          }),
          sources,
          outcomes: list(
            "Which outcomes to list. Without any: changed, new, lost, error.",
            choice([...backtestOutcomes], "An outcome.")
          ),
          limit: whole("The most results in the list: 1 to 500; 0, or none, is 50.", "int32"),
          continue: text(
            "The status.backtest.continue of the answer before, for the next results. Everything else must be as it was there; an hour after the first it is too old."
          )
        }
      )
    },
    ["policy"]
  ),
  status: object("What the policy would do. Filled in by the answer; nothing is stored.", {
    activities: list(
      "The activities that would be written, in the order of the inputs.",
      activity("An Activity that would be written.")
    ),
    results: list(
      "What became of each input.",
      object(
        "What became of one input.",
        {
          inputIndex: whole("The input, counted from 0: of spec.inputs, or of fetchedInputs.", "int32"),
          matched: yesOrNo("A rule matched, and there would be an activity."),
          matchedRuleIndex: whole("The rule that matched, counted from 0 in its list; -1 where none did.", "int32"),
          matchedRuleType: ruleType,
          matchedRuleName: text("Name of the rule that matched."),
          error: text("Why it could not be evaluated, with the place in the rule."),
          reason: text("Why there would be no activity, where nothing went wrong."),
          rules: list(
            "What became of each rule of the input's type.",
            object(
              "What became of one rule.",
              {
                type: ruleType,
                index: whole("The rule, counted from 0 in its list.", "int32"),
                name: text("Name of the rule."),
                result: choice(
                  ["Matched", "NotMatched", "Failed", "NotAsked"],
                  "Matched: it won. NotMatched: its match was false. Failed: it could not be evaluated. NotAsked: an earlier rule decided, or it is for other requests."
                ),
                reason: text("Why, where the result alone does not say it."),
                expression: choice(["match", "summary"], "Which of the rule's expressions failed."),
                line: whole("Where in it, from 1.", "int32"),
                column: whole("Where in its line, from 1.", "int32")
              },
              ["type", "index", "name", "result"]
            )
          )
        },
        ["inputIndex", "matched", "matchedRuleIndex"]
      )
    ),
    fetchedInputs: list("What autoFetch found, newest first.", input("A stored record or Event.")),
    error: text("Always absent: what is wrong with a policy is refused, what is wrong with an input is told there."),
    kindLabel: text("The kind in words, as the policy's rules see it."),
    kindLabelPlural: text("The plural of kindLabel, as they see it."),
    backtest: object("What the policy would change.", {
      effectiveStartTime: text("Where the time began that was read, as an RFC 3339 time."),
      effectiveEndTime: text("Where the time ended that was read, as an RFC 3339 time."),
      facts: whole(
        "Records and Events that were read: those of the time that a rule could be asked about, by their API group, kind, stage and verb. The first answer has it."
      ),
      counts: object(
        "How many of them have each outcome. What no rule matches, before or after, has none. The first answer has it.",
        {
          ...Object.fromEntries(backtestOutcomes.map((outcome) => [outcome, whole(outcomeMeanings[outcome])]))
        }
      ),
      results: list(
        "Those with the outcomes that were asked for, audit records before Events, newest first.",
        object(
          "A record or an Event, and what the policy changes about it.",
          {
            outcome: choice([...backtestOutcomes], "What the policy changes about it."),
            type: choice(["audit", "event"], "audit: an audit record; event: a Kubernetes Event."),
            id: text("The auditID of the record, or the uid of the Event."),
            timestamp: text("When it was received, or created, as an RFC 3339 time."),
            before: activity("The Activity as it is."),
            after: activity("The Activity as it would be."),
            error: text("Why it could not be evaluated, with the place in the rule.")
          },
          ["outcome", "type", "id", "timestamp"]
        )
      ),
      continue: text(
        "There may be more: send the same preview again with this as spec.backtest.continue. Absent from the last answer."
      )
    })
  })
}
