/** All pages of a list of Events, read to their ends; of each only its `continue` is looked at. */
import { Agent as PlainAgent, request as plainRequest } from "node:http"
import { Agent, request } from "node:https"
import { answerPart, partOptions, spend } from "../processes.ts"

/** As the exporter asks. */
const pageSize = 500

const { authority, certificate, events, key, url } = partOptions<{
  readonly url: string
  readonly authority?: string
  readonly certificate?: string
  readonly key?: string
  readonly events: number
}>()

const isSecure = url.startsWith("https:")
const ask = isSecure ? request : plainRequest
// One connection for all pages, as the exporter has it.
const agent = isSecure ? new Agent({ keepAlive: true }) : new PlainAgent({ keepAlive: true })

const page = (next: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const target = `${url}/apis/events.k8s.io/v1/events?limit=${pageSize}&continue=${encodeURIComponent(next)}`
    ask(
      target,
      {
        agent,
        ca: authority,
        cert: certificate,
        key
      },
      (response) => {
        // It stands in the list's metadata, before the items.
        let head = ""
        response.on("data", (chunk: Buffer) => {
          if (head.length < 4_096) head += chunk.toString("latin1")
        })
        response.on("error", reject)
        response.on("end", () => {
          if (response.statusCode === 200) resolve(/"continue":"([^"]+)"/.exec(head.split('"items"')[0]!)?.[1] ?? "")
          else reject(new Error(`${target} answered ${response.statusCode}`))
        })
      }
    )
      .on("error", reject)
      .end()
  })

answerPart(
  await spend(events, async () => {
    let next = await page("")
    while (next !== "") next = await page(next)
  })
)
