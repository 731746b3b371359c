/** A list of many pages, from a server that says exactly what it is told. */
import { Effect, Latch, Result, Stream } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "vitest"
import { Kube, type ListPage } from "../../../src/clients/kube/Kube.ts"
import { kubeLayer } from "../../../src/clients/kube/kubeLayer.ts"
import { eventually } from "../../support/eventually.ts"
import { writeKubeconfig } from "../../support/kubeconfig.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"

const path = "/apis/events.k8s.io/v1/events"

interface PageServer extends AsyncDisposable {
  readonly requests: () => number
  /** Lists it all; `each` is run with each page. */
  readonly list: (each?: (page: ListPage) => Effect.Effect<void>) => Effect.Effect<ReadonlyArray<ListPage>, unknown>
}

/** @param pages the answers' texts; the n-th asks for the next one by `continue=n` */
const startPages = async (pages: ReadonlyArray<string>): Promise<PageServer> => {
  const folder = await temporaryFolder("kube-list")
  let requests = 0
  const server = createServer((request, response) => {
    requests++
    const next = new URL(request.url ?? "", "http://127.0.0.1").searchParams.get("continue") ?? "0"
    response.writeHead(200, { "content-type": "application/json" }).end(pages[Number(next)])
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  // An address of a listening TCP server is never a pipe's name.
  const { port } = server.address() as AddressInfo
  const layer = kubeLayer({ kubeconfig: writeKubeconfig(folder.path, `http://127.0.0.1:${port}`), name: "test" })
  return {
    requests: () => requests,
    list: (each = () => Effect.void) =>
      Kube.use((kube) => kube.list(path).pipe(Stream.tap(each), Stream.runCollect)).pipe(Effect.provide(layer)),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await folder.remove()
    }
  }
}

/** What would end a list, or begin one, if it stood anywhere else. */
const note = 'a "quote", ]},{ and "items":[ \\ — “…”'
const objectOf = (n: number) => ({ note, metadata: { name: `event-${n}`, items: [] }, items: [[n], { items: [] }] })
const metadataOf = (next: string) => ({ resourceVersion: "77", ...(next === "" ? {} : { continue: next }) })
const pageOf = (from: number, count: number, next: string) =>
  JSON.stringify({
    kind: "EventList",
    metadata: metadataOf(next),
    items: Array.from({ length: count }, (_, index) => objectOf(from + index))
  })

describe.concurrent("a list", () => {
  it("is whole and in order, wherever an answer has its items", async () => {
    const last = `{"items":\n[ ${[700, 701].map((n) => JSON.stringify(objectOf(n))).join(" ,\n")} ],"metadata":{"resourceVersion":"77"}}`
    await using server = await startPages([pageOf(0, 500, "1"), pageOf(500, 200, "2"), last])
    const found = await Effect.runPromise(server.list())
    assert.deepStrictEqual(
      found.flatMap(({ items }) => items),
      Array.from({ length: 702 }, (_, n) => objectOf(n))
    )
    assert.deepStrictEqual([...new Set(found.map(({ resourceVersion }) => resourceVersion))], ["77"])
  })

  it("that is empty says where it is, with `items` null as with none", async () => {
    for (const items of ["null", "[]", "[ ]"]) {
      await using server = await startPages([`{"metadata":{"resourceVersion":"77"},"items":${items}}`])
      assert.deepStrictEqual(await Effect.runPromise(server.list()), [{ items: [], resourceVersion: "77" }])
    }
  })

  it("while somebody is busy with a page, the next one comes, and no other", async () => {
    await using server = await startPages([pageOf(0, 1, "1"), pageOf(1, 1, "2"), pageOf(2, 1, "")])
    const latch = Latch.makeUnsafe()
    const listed = Effect.runPromise(server.list(() => latch.await))
    await eventually("the next page is asked for", () => server.requests() === 2)
    latch.openUnsafe()
    assert.strictEqual((await listed).length, 3)
    assert.strictEqual(server.requests(), 3)
  })

  it("ends with a failure at an item that is no JSON, and at a text that is no list", async () => {
    const head = '{"metadata":{"resourceVersion":"77"}'
    for (const text of [
      `${head},"items":[{"metadata":{}},{"metadata"}]}`,
      `${head},"items":[{}}`,
      `${head}}`,
      "[]",
      ""
    ]) {
      await using server = await startPages([text])
      const failure = await Effect.runPromise(Effect.result(server.list()))
      assert.isTrue(Result.isFailure(failure), text)
      assert.match(String(Result.isFailure(failure) ? failure.failure : ""), /KubeError/)
    }
  })
})
