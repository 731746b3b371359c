import { Effect } from "effect"
import { type ApiFailure, invalid } from "../ApiFailure.ts"

/**
 * Whether a write shall change nothing.
 *
 * @param values of the parameter, and of a body's field
 * @fails ApiFailure Invalid for what is not `All`
 */
export const isDryRun = (values: ReadonlyArray<string>): Effect.Effect<boolean, ApiFailure> => {
  const wrong = values.find((value) => value !== "All" && value !== "")
  return wrong === undefined
    ? Effect.succeed(values.includes("All"))
    : Effect.fail(
        invalid({ group: "meta.k8s.io", plural: "", kind: "CreateOptions" }, "", [
          {
            field: "dryRun",
            reason: "FieldValueNotSupported",
            message: `Unsupported value: ${JSON.stringify(wrong)}: supported values: "All"`
          }
        ])
      )
}
