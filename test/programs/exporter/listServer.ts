/**
 * A server of many Events as a process of its own: it answers pages that were made before, so that what is measured is
 * whoever reads them. Arguments: how many Events. Prints its URL.
 */
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { recordedEvents } from "../../support/recordedData.ts"

const pageSize = 500
const count = Number(process.argv[2])
const recorded = recordedEvents("events.k8s.io/v1")
/** Of everything that is here: one server counts for all of its resources. */
const resourceVersion = String(1_000 + count)
const namespaces = {
  metadata: { resourceVersion },
  items: [...new Set(recorded.map(({ metadata }) => metadata.namespace))].map((name) => ({ metadata: { name } }))
}

const pages: Array<Buffer> = []
for (let from = 0; from < count; from += pageSize) {
  const items = Array.from({ length: Math.min(pageSize, count - from) }, (_, index) => {
    const number = from + index
    const { apiVersion: _apiVersion, kind: _kind, ...event } = recorded[number % recorded.length]!
    const uid = `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`
    return { ...event, metadata: { ...event.metadata, uid, resourceVersion: String(1_000 + number) } }
  })
  const rest = from + pageSize < count ? { continue: String(pages.length + 1) } : {}
  pages.push(
    Buffer.from(
      JSON.stringify({
        kind: "EventList",
        apiVersion: "events.k8s.io/v1",
        metadata: { resourceVersion, ...rest },
        items
      })
    )
  )
}

const json = (response: ServerResponse, body: Buffer | object): void => {
  response
    .writeHead(200, { "content-type": "application/json" })
    .end(Buffer.isBuffer(body) ? body : JSON.stringify(body))
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? "", "http://127.0.0.1")
  if (url.searchParams.get("watch") === "true") return response.writeHead(200).flushHeaders()
  if (url.pathname.endsWith("/events")) return json(response, pages[Number(url.searchParams.get("continue") ?? "0")]!)
  if (url.pathname.endsWith("/namespaces")) return json(response, namespaces)
  // A lease that nobody has.
  if (request.method === "GET" && url.pathname.includes("/leases")) return void response.writeHead(404).end("{}")
  return json(response, { metadata: { resourceVersion: "1" } })
})
server.listen(0, "127.0.0.1", () => {
  // An address of a listening TCP server is never a pipe's name.
  const { port } = server.address() as AddressInfo
  console.log(`http://127.0.0.1:${port}`)
})
