/** What a program knows of kinds, beside an API server whose discovery is behind what it stores, as kube-apiserver's is. */
import { Effect, Layer } from "effect"
import { createServer } from "node:http"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { afterAll, assert, beforeAll, it } from "vitest"
import { kubeLayer } from "../../src/clients/kube/kubeLayer.ts"
import { KindDiscovery } from "../../src/process/PolicyCache.ts"
import { clusterKindsLayer } from "../../src/programs/clusterKinds.ts"
import { Health } from "../../src/runtime/Health.ts"
import { writeKubeconfig } from "../support/kubeconfig.ts"
import { temporaryFolder, type TemporaryFolder } from "../support/temporaryFolder.ts"

const definitionsPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

const definition = {
  metadata: {
    name: "geese.shop.example.com",
    resourceVersion: "5",
    annotations: { "activity.miloapis.com/kind-label": "grey goose", "unlooked.example.com/at": "x" }
  },
  spec: { group: "shop.example.com", names: { plural: "geese", kind: "Goose" } }
}

const pods = {
  metadata: { name: "" },
  versions: [{ version: "v1", resources: [{ resource: "pods", responseKind: { kind: "Pod" }, scope: "Namespaced" }] }]
}

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://127.0.0.1")
  response.setHeader("Content-Type", "application/json")
  if (pathname === "/api") return void response.end(JSON.stringify({ items: [pods] }))
  if (pathname === "/apis") return void response.end(JSON.stringify({ items: [] }))
  if (pathname !== definitionsPath) return void response.writeHead(404).end()
  // A watch in which nothing happens.
  if (searchParams.has("watch")) return response.writeHead(200).flushHeaders()
  response.end(JSON.stringify({ metadata: { resourceVersion: "5" }, items: [definition] }))
})

let folder: TemporaryFolder
beforeAll(async () => {
  folder = await temporaryFolder("kinds")
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await folder.remove()
})

it("a kind is known as soon as it is defined, whatever discovery says; others by discovery", async () => {
  // An address of a listening TCP server is never a pipe's name.
  const { port } = server.address() as AddressInfo
  const kubeconfig = writeKubeconfig(folder.path, `http://127.0.0.1:${port}`, {})
  const kinds = await Effect.runPromise(
    KindDiscovery.pipe(
      Effect.map(({ annotationsOf, kindOf }) => ({
        geese: kindOf("shop.example.com", "geese"),
        pods: kindOf("", "pods"),
        ducks: kindOf("shop.example.com", "ducks"),
        annotations: annotationsOf("shop.example.com", "Goose")
      })),
      Effect.provide(clusterKindsLayer),
      Effect.provide(Layer.merge(kubeLayer({ kubeconfig, name: "test" }), Health.layer))
    )
  )
  assert.deepStrictEqual(kinds, {
    geese: "Goose",
    pods: "Pod",
    ducks: undefined,
    annotations: { "activity.miloapis.com/kind-label": "grey goose" }
  })
})
