/** The work of the controller, on one replica at a time. */
import { Effect, Metric, Random } from "effect"
import type { Lease } from "../../clients/Lease.ts"
import { Health, type HealthCheck } from "../../runtime/Health.ts"
import { Metrics } from "../../runtime/Metrics.ts"
import { runJobs } from "./jobs.ts"
import { reportReady } from "./reportReady.ts"

const leader = Metric.gauge("activity_controller_leader", { description: "1 while this replica holds the lease" })

/** What a replica calls itself. @param program that it is a part of */
export const holderOf = (program: string) =>
  Effect.map(Random.next, (random) => `${program}-${Math.floor(random * 2 ** 48).toString(36)}`)

/** One for a cluster, or for a NATS: whoever keeps the policies has one set of them. */
export const leaseName = "activity-controller"

/** Runs for ever. @param role of the lease for this process' readiness */
export const control = (lease: Lease, role: HealthCheck["role"]) =>
  Effect.gen(function* () {
    yield* (yield* Health).register({
      name: "controller-lease",
      role,
      problem: () => lease.state().problem,
      note: () => (lease.held() ? "this replica works" : `standing by, ${lease.state().holder || "nobody"} has it`)
    })
    yield* (yield* Metrics).onScrape(Effect.suspend(() => Metric.update(leader, lease.held() ? 1 : 0)))
    return yield* lease.whileHeld(
      Effect.all([runJobs(lease), reportReady], { concurrency: "unbounded" }).pipe(Effect.andThen(Effect.never))
    )
  })
