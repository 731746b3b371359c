/** The collector's webhook under batches of 400 over TLS, until the last is answered 200. */
import { Agent, request } from "node:https"
import { join } from "node:path"
import { Effect } from "effect"
import { auditEvents, deadLetters } from "../../src/domain/streams.ts"
import { serverCertificate } from "../../src/runtime/Tls.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import type { Benchmark } from "./Benchmark.ts"
import { rounded } from "./Benchmark.ts"
import { startBus } from "./bus.ts"
import { jsonParse } from "./limits/limit.ts"
import { makeBundle, measure } from "./processes.ts"
import { readRecords } from "./records.ts"

/** kube-apiserver's --audit-webhook-batch-max-size. */
const batchSize = 400
/** Batches on the way at once; kube-apiserver has that many without waiting too. */
const batchesInFlight = 4

export const collector: Benchmark = {
  summary: "records posted to the webhook are durable in the bus",
  options: ["events", "audit"],
  eventsDefault: 100_000,
  run: async ({ audit, events, tell }) => {
    const { originals, text } = await readRecords(audit, events)
    const sizeBytesMean = originals.reduce((sum, { length }) => sum + length, 0) / originals.length
    tell("measuring the limit")
    const limits = [await jsonParse({ audit, events })]
    await using folder = await temporaryFolder("bench-collector")
    await using bus = await startBus(events * sizeBytesMean)
    const { authority } = await Effect.runPromise(serverCertificate(folder.path, []))
    await using bundle = await makeBundle()
    await using program = bundle.start([
      ...["collector", "--audit-listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", ...bus.flags],
      ...["--tls-certificate", join(folder.path, "server.crt"), "--tls-key", join(folder.path, "server.key")],
      ...["--spool", join(folder.path, "spool")]
    ])
    const [, url = ""] = await program.waitForLine(/"audit":"(https:[^"]+)"/)
    const sent = sender(url, authority, events, text)
    const measuring = measure({ events, program, serverPid: bus.pid, progress: sent.progress, tell })
    const [done] = await Promise.all([measuring, sent.run])
    return {
      ...done,
      limits,
      more: {
        rss_half_max_mb: rounded(done.rssHalfMaxBytes / 1e6, 4),
        published: (await bus.stored(auditEvents.name)).done,
        dead_letters: (await bus.stored(deadLetters.name)).done
      }
    }
  }
}

const sender = (url: string, authority: string, events: number, text: (n: number) => string) => {
  const agent = new Agent({ keepAlive: true, ca: authority, maxSockets: batchesInFlight })
  let next = 0
  let done = 0
  let lastMillis = 0
  const post = (body: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      request(url, { method: "POST", agent, headers: { "content-length": body.length } }, (response) => {
        response.resume().once("end", () => {
          if (response.statusCode === 200) resolve()
          else reject(new Error(`the collector answered ${response.statusCode}`))
        })
      })
        .once("error", reject)
        .end(body)
    })
  const lane = async () => {
    while (next < events) {
      const from = next
      next = Math.min(events, from + batchSize)
      const items = Array.from({ length: next - from }, (_, index) => text(from + index))
      const count = next - from
      await post(Buffer.from(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${items.join(",")}]}`))
      done += count
      lastMillis = Date.now()
    }
  }
  const run = Promise.all(Array.from({ length: batchesInFlight }, lane)).finally(() => agent.destroy())
  return {
    run,
    // A batch that was refused ends the measurement.
    progress: () => Promise.race([run, Promise.resolve()]).then(() => ({ done, lastMillis }))
  }
}
