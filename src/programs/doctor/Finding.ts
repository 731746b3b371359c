/** What a diagnosis says. */
import { Schema } from "effect"

/** One thing that is wrong with a set-up. */
export interface Finding {
  /** What was looked at: `nats`, `clickhouse`, `cluster`, … */
  readonly part: string
  /** A sentence without its full stop. No secret is in it. */
  readonly problem: string
  /** The flag that may be wrong; "" where none can be. */
  readonly setting: string
  /** What to do, in the imperative. */
  readonly remedy: string
}

/** Something is wrong, and has been printed. Exit code 1. */
export class FaultsFound extends Schema.TaggedError<FaultsFound>()("FaultsFound", { count: Schema.Number }) {}
