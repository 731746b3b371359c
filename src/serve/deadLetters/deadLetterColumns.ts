/** What `kubectl get deadletters` shows. */
import { microsecondsFrom } from "../../domain/instant.ts"
import { ageText, type Column } from "../Table.ts"
import type { ServedDeadLetter } from "./servedDeadLetter.ts"

// A row has to fit a terminal: what is longer is whole in every other form.
const causeLengthMax = 70

/** @param nowMillis asked for each row: a watch is long */
export const deadLetterColumns = (nowMillis: () => number): ReadonlyArray<Column<ServedDeadLetter>> => {
  const column = (
    name: string,
    description: string,
    cell: (group: ServedDeadLetter) => string | number,
    rest: Partial<Column<ServedDeadLetter>> = {}
  ): Column<ServedDeadLetter> => ({ name, type: "string", description, priority: 0, cell, ...rest })
  const since = (text: string): string => ageText(nowMillis() - millisOf(text))
  return [
    column("Name", "Name of the group.", (one) => one.metadata.name, { format: "name" }),
    column("Letters", "How many there are.", (one) => one.status.letters, { type: "integer" }),
    column("Policy", "The rule that failed.", ({ spec: { policy } }) =>
      policy === undefined ? "<none>" : `${policy.name}/${policy.rule}`
    ),
    column("Cause", "Why they could not go on.", ({ spec: { cause } }) =>
      cause.length <= causeLengthMax ? cause : `${cause.slice(0, causeLengthMax - 1).trimEnd()}…`
    ),
    column("Next", "In how long the next is tried again.", ({ status: { nextTryTimestamp } }) =>
      nextTryTimestamp === undefined ? "<never>" : ageText(Math.max(0, millisOf(nextTryTimestamp) - nowMillis()))
    ),
    column("Tried", "How long ago one was last tried.", (one) => since(one.status.lastTriedTimestamp)),
    column("Stream", "Where they were.", (one) => one.spec.stream, { priority: 1 }),
    column("Program", "Who set them aside.", (one) => one.spec.program, { priority: 1 }),
    column("Attempts", "How often the one was tried that was tried most often.", (one) => one.status.attemptsMax, {
      priority: 1,
      type: "integer"
    })
  ]
}

const millisOf = (text: string): number => Number((microsecondsFrom(text) ?? 0n) / 1000n)
