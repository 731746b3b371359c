/** How fast a policy is tried on what was stored. */
import type { Benchmark } from "./Benchmark.ts"
import type { BacktestAnswer } from "./parts/backtests.ts"
import { runPart } from "./processes.ts"

export const backtest: Benchmark = {
  summary: "a backtest of a policy over stored records of its kind, three times",
  options: ["events"],
  eventsDefault: 100_000,
  run: async ({ events }) => {
    const { loopDelayMillisMax, read, ...spent } = await runPart<BacktestAnswer>("parts/backtests.ts", { events })
    return {
      ...spent,
      serverCpuSeconds: undefined,
      limits: [],
      more: { records_read_per_run: read, loop_delay_ms_max: Math.round(loopDelayMillisMax) }
    }
  }
}
