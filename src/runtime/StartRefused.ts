import { Schema } from "effect"

/** The program cannot start, and the user can mend it. Printed as it is, without a stack; exit code 2. */
export class StartRefused extends Schema.TaggedError<StartRefused>()("StartRefused", {
  sentence: Schema.String
}) {
  override get message(): string {
    return this.sentence
  }
}
