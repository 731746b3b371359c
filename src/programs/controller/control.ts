/** The work of the controller, on one replica at a time. */
import { Effect, Random } from "effect"
import { makeBucketLease } from "../../clients/nats/lease.ts"
import { Health } from "../../runtime/Health.ts"
import { runJobs } from "./jobs.ts"

/** Who died is missed for so long at most. */
const leaseMillis = 15_000

/** Runs for ever. @param program that this replica is a part of */
export const control = (program: string, durationMillis = leaseMillis) =>
  Effect.gen(function* () {
    const lease = yield* makeBucketLease({
      name: "activity-controller",
      holder: `${program}-${Math.floor((yield* Random.next) * 2 ** 48).toString(36)}`,
      durationMillis
    })
    yield* (yield* Health).register({
      name: "controller-lease",
      role: "informative",
      problem: () => lease.state().problem,
      note: () => (lease.held() ? "this replica works" : `standing by, ${lease.state().holder || "nobody"} has it`)
    })
    return yield* lease.whileHeld(runJobs(lease))
  })
