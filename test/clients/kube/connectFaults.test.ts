/** An API server that cannot be reached, as the person is told. */
import { assert, describe, it } from "vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { createServer } from "node:https"
import { join } from "node:path"
import { stringify } from "yaml"
import { Kube } from "../../../src/clients/kube/Kube.ts"
import { kubeLayer } from "../../../src/clients/kube/kubeLayer.ts"
import { makeAuthority } from "../../support/certificates.ts"
import { freePort } from "../../support/freePort.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"

const failureOf = (kubeconfig: string): Promise<string> =>
  Effect.runPromise(
    Kube.use((kube) => kube.call({ method: "GET", path: "/version" })).pipe(
      Effect.flip,
      Effect.map((error) => error.message),
      Effect.provide(kubeLayer({ kubeconfig, name: "test" }))
    )
  )

describe("an API server", () => {
  it("with another authority is told as that, one that does not answer by its address", async () => {
    await using folder = await temporaryFolder("connect-faults")
    const [ours, theirs] = await Promise.all([makeAuthority("ours"), makeAuthority("theirs")])
    const { certificate, key } = await theirs.server("server", ["127.0.0.1"])
    const server = createServer({ cert: certificate, key }, (_, response) => void response.end("{}"))
    const port = await freePort()
    await new Promise<void>((resolve) => void server.listen(port, "127.0.0.1", resolve))
    const address = `https://127.0.0.1:${port}`
    const kubeconfig = join(folder.path, "kubeconfig")
    const authority = Buffer.from(ours.certificate).toString("base64")
    writeFileSync(
      kubeconfig,
      stringify({
        clusters: [{ name: "c", cluster: { server: address, "certificate-authority-data": authority } }],
        users: [{ name: "u", user: { token: "t" } }],
        contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
        "current-context": "x"
      })
    )
    const untrusted = await failureOf(kubeconfig)
    await new Promise((resolve) => void server.close(resolve))
    assert.include(
      untrusted,
      `GET /version: the certificate of ${address} is not signed by the certificate-authority of ${kubeconfig} (`
    )
    assert.notInclude(untrusted, "Node")
    assert.strictEqual(
      await failureOf(kubeconfig),
      `GET /version: ${address} does not answer (ECONNREFUSED): see the server of ${kubeconfig}`
    )
  })
})
