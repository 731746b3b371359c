/** What reads of the stored activities take, beside the Go implementation's on its own schema. */
import { temporaryFolder } from "../support/temporaryFolder.ts"
import type { Benchmark } from "./Benchmark.ts"
import type { QueryAnswer } from "./parts/queries.ts"
import { runPart } from "./processes.ts"

export const query: Benchmark = {
  summary: "reads of stored activities, of each kind so many, beside the Go implementation's schema",
  options: ["events", "rows"],
  eventsDefault: 30,
  run: async ({ events, rows }) => {
    await using scratch = await temporaryFolder("bench-query")
    // Filling takes minutes: a folder that ACTIVITY_BENCH_STORE names is filled once, and read again by later runs.
    const named = process.env["ACTIVITY_BENCH_STORE"] ?? ""
    const { empty, shapes, ...spent } = await runPart<QueryAnswer>("parts/queries.ts", {
      folder: named === "" ? scratch.path : named,
      rounds: events,
      rows
    })
    return {
      ...spent,
      serverCpuSeconds: undefined,
      limits: [{ name: "empty_query", ...empty }],
      more: { rows, ...shapes }
    }
  }
}
