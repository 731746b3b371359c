/** What a diagnosis says. */
import { Schema } from "effect"

/** One thing that is wrong with a set-up, or that may be. */
export interface Finding {
  /** A hint may be as somebody wants it; only faults count for the exit code. */
  readonly severity: "fault" | "hint"
  /** What was looked at: `nats`, `clickhouse`, `cluster`, … */
  readonly part: string
  /** A sentence without its full stop. No secret is in it. */
  readonly problem: string
  /** The flag that may be wrong; "" where none can be. */
  readonly setting: string
  /** What to do, in the imperative. */
  readonly remedy: string
}

/** There are faults, and they have been printed. Exit code 1. */
export class FaultsFound extends Schema.TaggedError<FaultsFound>()("FaultsFound", { count: Schema.Number }) {}
