/** The variables that rules see. `link` exists in summaries only: it records, and a match must only look. */
import { Environment } from "@marcbachmann/cel-js"
import { expressionNodesMax } from "./budget.ts"
import { registerFunctions } from "./functions.ts"
import { originalOf } from "./ruleValue.ts"

/** Called for every link() that is evaluated; returns what stands in the summary. */
export type LinkRecorder = (text: string, reference: unknown) => string

export interface RuleEnvironments {
  readonly match: Environment
  readonly summary: Environment
}

const limits = { maxAstNodes: expressionNodesMax, maxDepth: 60, maxListElements: 500, maxMapEntries: 500 }

const environmentFor = (variable: "audit" | "event"): Environment => {
  const environment = new Environment({ limits, homogeneousAggregateLiterals: false })
  registerFunctions(environment)
  return environment
    .registerVariable(variable, "map<string, dyn>")
    .registerVariable("actor", "string")
    .registerVariable("actorRef", "map<string, dyn>")
    .registerVariable("kind", "string")
    .registerVariable("kindPlural", "string")
}

/** Audit rules see `audit`, event rules see `event`; both `actor`, `actorRef`, `kind` and `kindPlural`. */
export const ruleEnvironments = (variable: "audit" | "event", link: LinkRecorder): RuleEnvironments => ({
  match: environmentFor(variable),
  summary: environmentFor(variable).registerFunction("link(string, dyn): string", (text: string, reference: unknown) =>
    link(text, originalOf(reference))
  )
})
