/** The conditions of a status. */
import { choice, type JsonSchema, listByKey, object, text, time, whole } from "./JsonSchema.ts"

/** @param description what Ready says of the kind @param statuses what True, False and Unknown mean there */
export const conditionsSchema = (description: string, statuses: string): JsonSchema =>
  listByKey(
    description,
    "type",
    object(
      "One aspect of the object's state.",
      {
        type: text("Name of the condition: Ready."),
        status: choice(["True", "False", "Unknown"], statuses),
        reason: text("Why, in one word for programs."),
        message: text("Why, in a sentence for people."),
        lastTransitionTime: time("When the condition's status last changed."),
        observedGeneration: whole("The metadata.generation that the condition is about.")
      },
      ["type", "status"]
    )
  )
