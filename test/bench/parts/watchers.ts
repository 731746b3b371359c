/** Watches by tenants and by the platform's admin; says "ready" when all are open, and ends when all has come. */
import { Agent, request } from "node:https"
import { percentile, publishedMillis } from "../activityMessages.ts"
import { adminToken, tenantToken } from "../api.ts"
import { answerPart, partOptions } from "../processes.ts"

const { authority, expected, platformWatchers, resourceVersion, tenants, url } = partOptions<{
  readonly url: string
  readonly authority: string
  /** Of a list: what follows it is told. */
  readonly resourceVersion: string
  readonly tenants: number
  readonly platformWatchers: number
  /** Frames of stamped activities, all watches together. */
  readonly expected: number
}>()

export interface WatchAnswer {
  readonly frames: number
  readonly tenants: Latency
  readonly platform: Latency
}

/** From the publish until the client had the frame. */
export interface Latency {
  readonly p50Millis: number
  readonly p99Millis: number
  readonly maxMillis: number
}

const agent = new Agent({ ca: authority, keepAlive: true })
const latencies = { tenants: new Array<number>(), platform: new Array<number>() }
const frames = (): number => latencies.tenants.length + latencies.platform.length

const latencyOf = (millis: ReadonlyArray<number>): Latency => ({
  p50Millis: percentile(millis, 0.5),
  p99Millis: percentile(millis, 0.99),
  maxMillis: percentile(millis, 1)
})

const end = (): never =>
  answerPart({
    frames: frames(),
    tenants: latencyOf(latencies.tenants),
    platform: latencyOf(latencies.platform)
  } satisfies WatchAnswer)

const open = (token: string, millis: Array<number>): Promise<void> =>
  new Promise((resolve, reject) => {
    request(
      `${url}/apis/activity.miloapis.com/v1alpha1/activities?watch=true&resourceVersion=${resourceVersion}`,
      { agent, headers: { authorization: `Bearer ${token}` } },
      (response) => {
        if (response.statusCode !== 200) return reject(new Error(`a watch was answered ${response.statusCode}`))
        let rest = ""
        response.setEncoding("utf8").on("data", (chunk: string) => {
          const now = Date.now()
          const lines = (rest + chunk).split("\n")
          rest = lines.pop() ?? ""
          for (const line of lines) {
            const published = publishedMillis(line)
            if (published !== undefined) millis.push(now - published)
          }
          if (frames() >= expected) end()
        })
        response.once("end", () => {
          console.error("watch: a watch ended before all had come")
          process.exit(1)
        })
        return resolve()
      }
    )
      .once("error", reject)
      .end()
  })

for (let index = 0; index < tenants; index++) await open(tenantToken(index), latencies.tenants)
for (let index = 0; index < platformWatchers; index++) await open(adminToken, latencies.platform)
console.log("ready")
setInterval(() => console.error(`watch: ${frames()} of ${expected} frames have come`), 1_000)
