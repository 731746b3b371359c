/**
 * Records at a steady rate, paced by the clock whatever the answers take, as a cluster would send them.
 */
import { setTimeout as pause } from "node:timers/promises"
import { eventually } from "./eventually.ts"
import type { HttpsAnswer } from "./httpsJson.ts"
import { type MadeRecord, madeRecords, recordText } from "./madeRecords.ts"

export interface SteadyLoad {
  /** Records that were answered 200 so far. */
  readonly taken: () => number
  /** Stops, waits for the last answers. @returns what was taken: by name, when its batch was sent ({@link performance.now}) */
  readonly stop: () => Promise<ReadonlyMap<string, number>>
}

/** Batches on the way at once. When so many wait for their answers, the load waits too. */
const inFlightMax = 16

/** Sends `batchSize` records named `<prefix>-<n>` each `everyMillis`; what is refused is sent again. */
export const steadyLoad = (options: {
  readonly post: (records: ReadonlyArray<string>) => Promise<HttpsAnswer>
  readonly prefix: string
  readonly batchSize: number
  readonly everyMillis: number
}): SteadyLoad => {
  const sentAt = new Map<string, number>()
  const inFlight = new Set<Promise<void>>()
  let taken = 0
  const stop = new AbortController()
  let failure: unknown

  const send = async (records: ReadonlyArray<MadeRecord>) => {
    const texts = records.map(recordText)
    for (const { name } of records) sentAt.set(name, performance.now())
    await eventually("the batch is taken", async () => (await options.post(texts)).status === 200)
    taken += records.length
  }
  const run = async () => {
    const start = performance.now()
    for (let batch = 0; !stop.signal.aborted; batch++) {
      if (inFlight.size >= inFlightMax) await Promise.race(inFlight)
      const sending = send(madeRecords(options.prefix, options.batchSize, batch * options.batchSize))
        .catch((cause: unknown) => void (failure ??= cause))
        .finally(() => void inFlight.delete(sending))
      inFlight.add(sending)
      await pause(Math.max(0, start + (batch + 1) * options.everyMillis - performance.now()))
    }
    await Promise.all(inFlight)
  }
  const running = run()
  return {
    taken: () => taken,
    stop: async () => {
      stop.abort()
      await running
      if (failure !== undefined) throw failure
      return sentAt
    }
  }
}
