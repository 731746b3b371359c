/**
 * One small use of every library of package.json, against the real thing where it talks to one. The same file runs
 * under Node and Deno, as a process of its own:
 *
 *     libraries.ts NATS_PORT EVENTS_URL FOLDER
 *
 * It prints one line for each library, `name ok` or `name` and what went wrong.
 */
import assert from "node:assert/strict"
import { once } from "node:events"
import { writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"

export interface Surroundings {
  /** A nats-server with JetStream listens there, on the loopback. */
  readonly natsPort: number
  /** A server lists Events there. */
  readonly eventsUrl: string
  /** An empty folder. */
  readonly folder: string
}

type Smoke = (surroundings: Surroundings) => Promise<void>

export const libraries: Readonly<Record<string, Smoke>> = {
  "@clickhouse/client": async () => {
    const { createClient } = await import("@clickhouse/client")
    // The server's side of one query. That a server answers as this does, the contract suite of clients/clickhouse tests.
    const server = createServer((request, response) => {
      request.resume().on("end", () => response.end(`{"one":1}\n`))
    })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as AddressInfo // A TCP server's address is no pipe's name.
    const client = createClient({ url: `http://127.0.0.1:${port}` })
    const rows = await client.query({ query: "SELECT 1 AS one", format: "JSONEachRow" })
    assert.deepEqual(await rows.json(), [{ one: 1 }])
    await client.close()
    server.close()
  },
  "@effect/platform-node": async ({ folder }) => {
    const { Effect, FileSystem } = await import("effect")
    const NodeFileSystem = await import("@effect/platform-node/NodeFileSystem")
    await writeFile(join(folder, "text"), "a")
    const read = Effect.flatMap(FileSystem.FileSystem, (files) => files.readFileString(join(folder, "text")))
    assert.equal(await Effect.runPromise(Effect.provide(read, NodeFileSystem.layer)), "a")
  },
  "@kubernetes/client-node": async ({ eventsUrl }) => {
    const { CoreV1Api, KubeConfig } = await import("@kubernetes/client-node")
    const config = new KubeConfig()
    config.loadFromClusterAndUser({ name: "one", server: eventsUrl, skipTLSVerify: true }, { name: "nobody" })
    const events = await config.makeApiClient(CoreV1Api).listEventForAllNamespaces({ limit: 2 })
    assert.equal(events.items.length, 2)
  },
  "@marcbachmann/cel-js": async () => {
    const { evaluate } = await import("@marcbachmann/cel-js")
    assert.equal(evaluate(`audit.verb in ["create", "update"]`, { audit: { verb: "create" } }), true)
  },
  "@nats-io/jetstream": async ({ natsPort }) => {
    const { connect } = await import("@nats-io/transport-node")
    const { jetstream, jetstreamManager } = await import("@nats-io/jetstream")
    const connection = await connect({ port: natsPort })
    const manager = await jetstreamManager(connection)
    await manager.streams.add({ name: "SMOKE", subjects: ["smoke.>"] })
    const stream = jetstream(connection)
    assert.equal((await stream.publish("smoke.a", "a", { msgID: "1" })).duplicate, false)
    assert.equal((await stream.publish("smoke.a", "a", { msgID: "1" })).duplicate, true)
    await manager.consumers.add("SMOKE", { durable_name: "reader", ack_policy: "explicit" })
    const message = await (await stream.consumers.get("SMOKE", "reader")).next()
    assert.equal(message?.string(), "a")
    await message?.ackAck()
    await manager.streams.delete("SMOKE")
    await connection.close()
  },
  "@nats-io/kv": async ({ natsPort }) => {
    const { connect } = await import("@nats-io/transport-node")
    const { Kvm } = await import("@nats-io/kv")
    const connection = await connect({ port: natsPort })
    const bucket = await new Kvm(connection).create("smoke")
    const revision = await bucket.create("a", "1")
    await bucket.update("a", "2", revision)
    assert.equal((await bucket.get("a"))?.string(), "2")
    await bucket.destroy()
    await connection.close()
  },
  "@nats-io/transport-node": async ({ natsPort }) => {
    const { connect } = await import("@nats-io/transport-node")
    const connection = await connect({ port: natsPort })
    assert.ok((await connection.rtt()) >= 0)
    await connection.close()
  },
  "@peculiar/x509": async () => {
    await import("reflect-metadata")
    const { X509CertificateGenerator } = await import("@peculiar/x509")
    const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
    const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name: "CN=one",
      keys,
      signingAlgorithm: algorithm,
      notBefore: new Date("2026-01-01"),
      notAfter: new Date("2027-01-01")
    })
    assert.equal(certificate.subject, "CN=one")
    assert.equal(await certificate.verify({ signatureOnly: true }), true)
  },
  chdb: async ({ folder }) => {
    const { drainPending, Session } = await import("chdb")
    const session = new Session(join(folder, "chdb"))
    const result = await session.queryAsync("SELECT sum(number) AS total FROM numbers(5)", { format: "JSONEachRow" })
    assert.deepEqual(JSON.parse(result.text()), { total: 10 })
    session.close()
    await drainPending()
  },
  effect: async () => {
    const { Effect, Schema } = await import("effect")
    const decoded = Schema.decodeUnknownEffect(Schema.Struct({ verb: Schema.String }))({ verb: "get" })
    assert.deepEqual(await Effect.runPromise(decoded), { verb: "get" })
  },
  "fast-check": async () => {
    const { default: check } = await import("fast-check")
    check.assert(check.property(check.string(), (text) => text === text.split("").join("")))
  },
  "fast-json-patch": async () => {
    const { default: patch } = await import("fast-json-patch")
    const { newDocument } = patch.applyPatch({ a: 1 }, [{ op: "replace", path: "/a", value: 2 }])
    assert.deepEqual(newDocument, { a: 2 })
  },
  jose: async () => {
    const { generateKeyPair, jwtVerify, SignJWT } = await import("jose")
    const { privateKey, publicKey } = await generateKeyPair("ES256")
    const token = await new SignJWT({ sub: "alice" }).setProtectedHeader({ alg: "ES256" }).sign(privateKey)
    assert.equal((await jwtVerify(token, publicKey, { algorithms: ["ES256"] })).payload.sub, "alice")
  },
  "prom-client": async () => {
    const { collectDefaultMetrics, Registry } = await import("prom-client")
    const register = new Registry()
    collectDefaultMetrics({ register })
    assert.match(await register.metrics(), /^process_start_time_seconds \d/m)
  },
  re2js: async () => {
    const { RE2JS } = await import("re2js")
    assert.equal(
      RE2JS.compile("(a+)+$")
        .matcher(`${"a".repeat(40)}b`)
        .find(),
      false
    )
  },
  // Only a peer of @effect/platform-node so far: there is no Redis to ask.
  redis: async () => {
    const { createClient } = await import("redis")
    assert.equal(createClient({ url: "redis://127.0.0.1:1" }).isOpen, false)
  },
  "reflect-metadata": async () => {
    await import("reflect-metadata")
    assert.equal(typeof Reflect.get(Reflect, "getMetadata"), "function")
  },
  yaml: async () => {
    const { parse, stringify } = await import("yaml")
    assert.deepEqual(parse(stringify({ a: [1, "b"] })), { a: [1, "b"] })
  }
}

if (import.meta.main) {
  const [natsPort, eventsUrl, folder] = process.argv.slice(2)
  const surroundings = { natsPort: Number(natsPort), eventsUrl: eventsUrl ?? "", folder: folder ?? "" }
  for (const [name, use] of Object.entries(libraries)) {
    const outcome = await use(surroundings).then(
      () => "ok",
      (cause: unknown) => String(cause).replaceAll("\n", " ")
    )
    console.log(`${name} ${outcome}`)
  }
  process.exit(0)
}
