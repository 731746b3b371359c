/** What it costs to say of a single activity what was changed. */
import { temporaryFolder } from "../support/temporaryFolder.ts"
import type { Benchmark } from "./Benchmark.ts"
import type { SingleActivitiesAnswer } from "./parts/singleActivities.ts"
import { runPart } from "./processes.ts"

export const changes: Benchmark = {
  summary: "what was changed, worked out for single activities of each kind so many, from stored records",
  options: ["events", "rows"],
  eventsDefault: 30,
  run: async ({ events, rows }) => {
    await using scratch = await temporaryFolder("bench-changes")
    // Filling takes minutes: a folder that ACTIVITY_BENCH_STORE names is filled once, and read again by later runs.
    const named = process.env["ACTIVITY_BENCH_STORE"] ?? ""
    const { shapes, ...spent } = await runPart<SingleActivitiesAnswer>("parts/singleActivities.ts", {
      folder: named === "" ? scratch.path : named,
      rounds: events,
      rows
    })
    return { ...spent, serverCpuSeconds: undefined, limits: [], more: { rows, ...shapes } }
  }
}
