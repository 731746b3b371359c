/** Field selectors over Kubernetes Events, in the spellings of both of their API versions. */
import { Result } from "effect"
import { allOf, type Expression, fieldOf, isText, not } from "../../cel/Filter.ts"
import { fieldSelectorFrom } from "../Selector.ts"

/** The normalised Event has what core/v1 calls its source as the one that reported it. */
const spellings: Readonly<Record<string, string>> = {
  source: "reportingController",
  "source.component": "reportingController",
  "source.host": "reportingInstance"
}

/** The failure is a sentence. */
export const eventSelector = (text: string): Result.Result<Expression, string> =>
  Result.flatMap(fieldSelectorFrom(text), (requirements) => {
    const conditions: Array<Expression> = []
    for (const { equal, field: name, value } of requirements) {
      const field = fieldOf("event", Object.hasOwn(spellings, name) ? String(spellings[name]) : name)
      if (field?.type !== "string") {
        return Result.fail(
          `field label not supported: ${name}; supported are the fields of an Event that are texts, such as regarding.kind, reason or type`
        )
      }
      // Clients write a space behind a comma or an operator; no text of an Event's fields has one at its ends.
      const condition = isText(field, value.trim())
      conditions.push(equal ? condition : not(condition))
    }
    return Result.succeed(allOf(conditions))
  })
