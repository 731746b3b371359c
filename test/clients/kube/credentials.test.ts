import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { stringify } from "yaml"
import { CredentialFiles, readKubeconfig, readServiceAccount } from "../../../src/clients/kube/credentials.ts"
import { temporaryFolder, type TemporaryFolder } from "../../support/temporaryFolder.ts"

let folder: TemporaryFolder
beforeAll(async () => {
  folder = await temporaryFolder("credentials")
})
afterAll(() => folder.remove())

const write = (name: string, text: string): string => {
  const path = join(folder.path, name)
  writeFileSync(path, text)
  return path
}

const kubeconfig = (cluster: object, user: object, more: object = {}): string =>
  write(
    "kubeconfig",
    stringify({
      clusters: [
        { name: "other", cluster: { server: "https://other:1" } },
        { name: "c", cluster: { server: "https://127.0.0.1:6443/", ...cluster } }
      ],
      users: [{ name: "u", user }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      "current-context": "x",
      ...more
    })
  )

const base64 = (text: string): string => Buffer.from(text).toString("base64")

describe("a kubeconfig", () => {
  it("names server, authority, client certificate and key as data", () => {
    const path = kubeconfig(
      { "certificate-authority-data": base64("CA"), "tls-server-name": "kubernetes" },
      { "client-certificate-data": base64("CERT"), "client-key-data": base64("KEY") }
    )
    assert.deepStrictEqual(readKubeconfig(path).credentials, {
      server: "https://127.0.0.1:6443",
      ca: "CA",
      certificate: "CERT",
      key: "KEY",
      serverName: "kubernetes",
      token: undefined
    })
  })

  it("names files from where it lies itself; a token file goes before a token", () => {
    for (const name of ["ca.crt", "client.crt", "client.key", "token"]) write(name, `${name} `)
    const path = kubeconfig(
      { "certificate-authority": "ca.crt" },
      { "client-certificate": "client.crt", "client-key": "client.key", tokenFile: "token", token: "old" }
    )
    const { credentials, files } = readKubeconfig(path)
    assert.deepInclude(credentials, { ca: "ca.crt ", certificate: "client.crt ", key: "client.key ", token: "token" })
    assert.lengthOf(files, 5)
  })

  const refusals: ReadonlyArray<readonly [string, () => string, RegExp]> = [
    [
      "programs that give credentials",
      () => kubeconfig({}, { exec: { command: "aws" } }),
      /"exec", which is not supported/
    ],
    ["passwords", () => kubeconfig({}, { username: "u", password: "p" }), /"username", which is not supported/],
    ["acting for others", () => kubeconfig({}, { as: "root" }), /"as", which is not supported/],
    [
      "servers that are not verified",
      () => kubeconfig({ "insecure-skip-tls-verify": true }, {}),
      /insecure-skip-tls-verify/
    ],
    ["proxies", () => kubeconfig({ "proxy-url": "http://proxy" }, {}), /proxy-url/],
    ["plain HTTP off loopback", () => kubeconfig({ server: "http://10.0.0.1:8080" }, {}), /must be https/],
    ["no server", () => kubeconfig({ server: "" }, {}), /names no server/],
    ["an unknown context", () => kubeconfig({}, {}, { "current-context": "y" }), /no context "y"/],
    ["no context", () => kubeconfig({}, {}, { "current-context": "" }), /does not say which context/],
    ["what is no kubeconfig", () => write("kubeconfig", "[]"), /is no kubeconfig/],
    [
      "a file that is not there",
      () => kubeconfig({}, { tokenFile: "nowhere" }),
      /^tokenFile of --kubeconfig \S+: \S+nowhere: no such file$/
    ],
    ["no file", () => join(folder.path, "none"), /^--kubeconfig \S+none: no such file$/]
  ]
  for (const [what, make, sentence] of refusals) {
    it(`is refused with a sentence for ${what}`, () => assert.throws(() => readKubeconfig(make()), sentence))
  }
})

describe("a kubeconfig that is no YAML", () => {
  const faults: ReadonlyArray<readonly [string, RegExp]> = [
    [`users:\n- name: u\n  user: { token: "s3cret }\n`, /kubeconfig: line \d, column \d+: Missing closing "quote$/],
    [`users:\n- name: u\n  user:\n    token: s3cret: x\n`, /line 4, column 12: Nested mappings are not allowed/],
    [`users:\n- name: u\n  user:\n    token: *s3cret\n`, /kubeconfig: Unresolved alias/]
  ]
  for (const [text, sentence] of faults) {
    it(`is refused without its secrets: ${sentence}`, () => {
      const path = write("kubeconfig", text)
      assert.throws(() => readKubeconfig(path), sentence)
      assert.throws(() => readKubeconfig(path), /^(?!.*s3cret)/s)
    })
  }
})

describe("a service account", () => {
  it("is its authority, and its token without the line's end", () => {
    write("ca.crt", "CA")
    write("token", "TOKEN\n")
    assert.deepInclude(readServiceAccount("fd00::1", "443", folder.path).credentials, {
      server: "https://[fd00::1]:443",
      ca: "CA",
      token: "TOKEN"
    })
  })
})

describe("files of credentials", () => {
  it("are looked at again after a second, and at once when asked; what cannot be read leaves what was", () => {
    write("ca.crt", "CA")
    const token = write("token", "first")
    const files = new CredentialFiles(() => readServiceAccount("h", "1", folder.path), 0)
    const before = files.current(0)
    assert.strictEqual(before.token, "first")
    write("token", "second-token")
    assert.strictEqual(files.current(500), before)
    assert.strictEqual(files.current(1_000).token, "second-token")
    write("token", "third")
    assert.isTrue(files.refresh())
    assert.isFalse(files.refresh())
    assert.strictEqual(files.current(1_100).token, "third")
    rmSync(token)
    assert.strictEqual(files.current(3_000).token, "third")
    assert.match(files.problem() ?? "", /no such file/)
  })
})
