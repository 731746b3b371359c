/** How fast a policy is tried on what was stored. */
import { type Benchmark, rounded } from "./Benchmark.ts"
import type { BacktestAnswer } from "./parts/backtests.ts"
import { runPart } from "./processes.ts"

export const backtest: Benchmark = {
  summary:
    "a backtest of a policy over stored records of its kind, three times; one that tells of all; eight cancelled",
  options: ["events"],
  eventsDefault: 100_000,
  run: async ({ events }) => {
    const { cancelMillis, keptBytes, loopDelayMillisMax, read, told, ...spent } = await runPart<BacktestAnswer>(
      "parts/backtests.ts",
      { events }
    )
    return {
      ...spent,
      serverCpuSeconds: undefined,
      limits: [],
      more: {
        records_read_per_run: read,
        all_told: {
          events_per_s: rounded(told.events / told.seconds, 4),
          cpu_s_per_1k: rounded((told.cpuSeconds / told.events) * 1_000, 3)
        },
        cancel_ms_max: Math.round(Math.max(...cancelMillis)),
        kept_after_cancel_mb: rounded(keptBytes / 1e6, 3),
        loop_delay_ms_max: Math.round(loopDelayMillisMax)
      }
    }
  }
}
