import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import {
  addressText,
  clusterName,
  durationMillis,
  factor,
  isLoopback,
  listenAddress,
  part,
  type Reader,
  sizeBytes,
  tenant,
  wholeNumber,
  withoutSecret
} from "../../src/runtime/settings.ts"

const read = <A>(reader: Reader<A>, text: string): A | string =>
  Result.match(reader(text), { onFailure: (allowed) => `allowed: ${allowed}`, onSuccess: (value) => value })

describe("settings", () => {
  it("sizes are bytes", () => {
    assert.strictEqual(read(sizeBytes, "0"), 0)
    assert.strictEqual(read(sizeBytes, "512KiB"), 524_288)
    assert.strictEqual(read(sizeBytes, "10MiB"), 10_485_760)
    assert.strictEqual(read(sizeBytes, "2GiB"), 2_147_483_648)
    for (const wrong of ["", "10MB", "-1", "1.5GiB", "10 MiB"]) {
      assert.strictEqual(read(sizeBytes, wrong), "allowed: a size such as 512KiB, 10MiB or 2GiB")
    }
  })

  it("durations are milliseconds", () => {
    assert.strictEqual(read(durationMillis, "100ms"), 100)
    assert.strictEqual(read(durationMillis, "30s"), 30_000)
    assert.strictEqual(read(durationMillis, "720h"), 2_592_000_000)
    assert.strictEqual(read(durationMillis, "7d"), 604_800_000)
    assert.match(String(read(durationMillis, "1w")), /^allowed: a duration/)
  })

  it("parts are of one", () => {
    assert.strictEqual(read(part, "0"), 0)
    assert.strictEqual(read(part, "0.01"), 0.01)
    assert.strictEqual(read(part, "1"), 1)
    for (const wrong of ["", "1.5", "-0.1", "50%", "1e-3"]) {
      assert.strictEqual(read(part, wrong), "allowed: a number from 0 to 1, such as 0.01")
    }
  })

  it("addresses are a host and a port", () => {
    assert.deepStrictEqual(read(listenAddress, "127.0.0.1:8443"), { host: "127.0.0.1", port: 8443 })
    assert.deepStrictEqual(read(listenAddress, "[::1]:0"), { host: "::1", port: 0 })
    assert.deepStrictEqual(read(listenAddress, ":9443"), { host: "::", port: 9443 })
    for (const wrong of ["8443", "host", "a:65536", "::1:8443", "a b:1"]) {
      assert.match(String(read(listenAddress, wrong)), /^allowed: HOST:PORT/)
    }
    assert.strictEqual(addressText({ host: "::1", port: 1 }), "[::1]:1")
  })

  it("only this machine's own addresses are loopback", () => {
    for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost"]) assert(isLoopback({ host, port: 1 }))
    for (const host of ["::", "0.0.0.0", "10.0.0.1", "127.0.0.1.example.com"]) assert(!isLoopback({ host, port: 1 }))
  })

  it("secrets are three stars, wherever a URL may have them", () => {
    assert.strictEqual(withoutSecret("htp://u:p@ss@host:1/db"), "htp://***@host:1/db")
    assert.strictEqual(withoutSecret("nats://u:p@one,htp://v:q@two"), "nats://***@two")
    assert.strictEqual(withoutSecret("u:p@host"), "***@host")
    assert.strictEqual(withoutSecret("htp://host/?password=p"), "htp://host/?***")
    assert.strictEqual(withoutSecret("localhost:8123"), "localhost:8123")
  })

  it("tenants, clusters and numbers name what is allowed", () => {
    assert.deepStrictEqual(read(tenant, "project/prod"), { type: "Project", name: "prod" })
    assert.deepStrictEqual(read(tenant, "Platform/"), { type: "Platform", name: "" })
    for (const wrong of ["/x", "", "foo"]) assert.match(String(read(tenant, wrong)), /TYPE\/NAME/)
    assert.strictEqual(read(clusterName, "east-1.example"), "east-1.example")
    assert.match(String(read(clusterName, "a b")), /letters, digits/)
    assert.strictEqual(read(wholeNumber(1, 5), "6"), "allowed: a whole number from 1 to 5")
    assert.strictEqual(read(factor, "50"), 50)
    assert.strictEqual(read(factor, "0.00390625"), 1 / 256)
    for (const wrong of ["", "0", "-1", "1e3", "half", "10001"])
      assert.match(String(read(factor, wrong)), /^allowed: a number/)
  })
})
