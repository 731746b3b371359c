/** DeadLetter: records, Events and activities that could not go on, by cause; and what may be done about them. */
import { type JsonSchema, list, object, text, time, whole } from "./JsonSchema.ts"

export const deadLetterSchemas = {
  spec: object("What the letters have in common.", {
    stream: text("The stream that they were in, or were meant for, such as AUDIT_EVENTS."),
    program: text("Who set them aside: collector, exporter, processor or writer."),
    reason: text(
      "Why, in one word: policy-failed (a rule failed), unreadable, refused (too large for the bus), row-refused (ClickHouse refuses the row)."
    ),
    cause: text("Why, in a sentence."),
    policy: object("The rule that failed; absent for other reasons.", {
      name: text("Name of the ActivityPolicy."),
      generation: whole("The policy's newest metadata.generation at which it failed."),
      rule: text("Name of the rule.")
    })
  }),
  status: object("The letters, now.", {
    letters: whole("How many."),
    attemptsMax: whole("How often the one was tried that was tried most often."),
    firstTriedTimestamp: time("When the one that has waited longest was last tried."),
    lastTriedTimestamp: time("When one of them was last tried."),
    nextTryTimestamp: time("When the next is tried by itself; absent when none is."),
    newest: list(
      "The newest, at most 10.",
      object("One letter.", {
        sequence: whole("Its place in DEAD_LETTERS; spec.sequences of a redrive or a discard names it by this."),
        position: text("STREAM:SEQUENCE of the message that it was."),
        cluster: text("The cluster that it comes from."),
        attempts: whole("How often it was tried."),
        triedTimestamp: time("When it was last tried."),
        body: text(
          "What it holds, as it was received; of one object only, and of a long one the first 16 Ki characters."
        )
      })
    )
  })
} satisfies Readonly<Record<string, JsonSchema>>

const chosen = {
  sequences: list("Which letters of the group; all of them where this is left out.", whole("status.newest[].sequence"))
}

const settled = object("What became of it.", {
  chosen: whole("How many letters were meant."),
  done: whole("How many it was done to; with dryRun, to how many it would be."),
  gone: whole("How many were gone already, or redriven less than a minute before a discard."),
  skipped: whole("How many cannot be tried again: their program never does."),
  remaining: whole("How many are left of what was meant: one request takes 5,000; send it again.")
})

/** The body of a redrive, which need not have one, and its answer. */
export const deadLetterRedrive = {
  kind: "DeadLetterRedrive",
  properties: { spec: object("Which letters are to be tried again at once.", chosen), status: settled }
}

/** The body of a discard, and its answer. */
export const deadLetterDiscard = {
  kind: "DeadLetterDiscard",
  properties: {
    spec: object(
      "Which letters are to be deleted for good, and why.",
      {
        ...chosen,
        reason: text(
          "Why they are not needed, in at most 1,024 characters. It is kept in the log and in the audit record."
        )
      },
      ["reason"]
    ),
    status: settled
  }
}
