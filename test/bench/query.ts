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
    await using folder = await temporaryFolder("bench-query")
    const { empty, shapes, ...spent } = await runPart<QueryAnswer>("parts/queries.ts", {
      folder: folder.path,
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
