/** `activity` at a terminal: help, versions, and what a wrong invocation says. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { serverCertificate } from "../../src/runtime/Tls.ts"
import { startProgram } from "../support/childProcess.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const run = async (parameters: ReadonlyArray<string>, environment: Readonly<Record<string, string>> = {}) => {
  const program = startProgram(parameters, { environment })
  const { code } = await program.exited
  return { code, stdout: program.stdout(), all: program.log() }
}

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))

const folder = await temporaryFolder("main")
await Effect.runPromise(serverCertificate(join(folder.path, "tls"), []))
afterAll(() => folder.remove())
const pem = [
  ...["--tls-certificate", join(folder.path, "tls/server.crt")],
  ...["--tls-key", join(folder.path, "tls/server.key")]
]

describe("activity", () => {
  it("prints help with every program, and its version", async () => {
    const help = await run(["--help"])
    assert.strictEqual(help.code, 0)
    for (const program of ["up", "collector", "processor", "writer", "apiserver", "migrate", "doctor"]) {
      assert.match(help.stdout, new RegExp(`^  ${program} +\\S`, "m"))
    }
    assert.match((await run(["--version"])).stdout, new RegExp(`v${manifest.version}`))
  })

  it("every setting of up is a flag with its default and its environment name", async () => {
    const { stdout } = await run(["up", "--help"])
    assert.match(stdout, /--data string [^-]+\(default \.activity,\s+ACTIVITY_DATA\)/)
    for (const flag of [
      "config",
      "api-listen",
      "audit-listen",
      "ops-listen",
      "policies",
      "nats-url",
      "clickhouse-url",
      "demo",
      "stages",
      "spool-bytes",
      "tenant",
      "cluster"
    ]) {
      assert.match(stdout, new RegExp(`^  --${flag}\\b`, "m"))
    }
  })

  it("shell completion is printed", async () => {
    assert.match((await run(["--completions", "bash"])).stdout, /complete/)
  })

  const wrong: ReadonlyArray<{
    readonly what: string
    readonly parameters: ReadonlyArray<string>
    readonly environment?: Readonly<Record<string, string>>
    readonly says: RegExp
  }> = [
    {
      what: "a wrong value",
      parameters: ["up", "--api-listen", "8443"],
      says: /--api-listen: "8443"\. Expected: HOST:PORT such as 127\.0\.0\.1:8443/
    },
    {
      what: "a wrong value in the environment",
      parameters: ["up"],
      environment: { ACTIVITY_SPOOL_BYTES: "2GB" },
      says: /--spool-bytes: "2GB"\. Expected: a size such as 512KiB, 10MiB or 2GiB/
    },
    {
      what: "a switch that is neither on nor off",
      parameters: ["up"],
      environment: { ACTIVITY_DEMO: "maybe" },
      says: /--demo: "maybe"\. Expected: true or false/
    },
    { what: "an unknown flag", parameters: ["writer", "--wat", "1"], says: /Unrecognized flag: --wat/ },
    { what: "Effect's wizard", parameters: ["up", "--wizard"], says: /Unrecognized flag: --wizard/ },
    { what: "an unknown program", parameters: ["upp"], says: /Did you mean this\?\s+up/ },
    {
      what: "a file of settings that is not there",
      parameters: ["up", "--config", "/nowhere.yaml"],
      says: /--config \/nowhere\.yaml cannot be read/
    },
    {
      what: "an API server without users",
      parameters: ["apiserver", ...pem],
      says: /give --tokens FILE or --oidc-issuer-url URL, and --roles FILE, or --auth kubernetes in a cluster/
    },
    {
      what: "an API server with two ways to tell who calls",
      parameters: [...["apiserver", ...pem], ...["--auth", "kubernetes", "--tokens", "package.json"]],
      says: /--tokens, --oidc-issuer-url and --roles belong to --auth files/
    },
    {
      what: "an issuer of tokens for no client",
      parameters: [
        ...["apiserver", ...pem],
        ...["--oidc-issuer-url", "https://dex.example.com", "--roles", "package.json"]
      ],
      says: /--oidc-issuer-url and --oidc-client-id belong together/
    },
    {
      what: "an issuer of tokens that is not asked over TLS",
      parameters: ["apiserver", "--oidc-issuer-url", "http://dex.example.com"],
      says: /--oidc-issuer-url: "http:\/\/dex\.example\.com"\. Expected: a URL that starts with https/
    },
    {
      what: "an unknown way to tell who calls",
      parameters: ["apiserver", "--auth", "ldap"],
      says: /--auth: "ldap"\. Expected: files or kubernetes/
    },
    {
      what: "a cluster that is not there",
      parameters: [...["apiserver", ...pem], ...["--auth", "kubernetes", "--kubeconfig", "/nowhere.kubeconfig"]],
      says: /\/nowhere\.kubeconfig/
    },
    {
      what: "a collector that everybody could reach without credentials",
      parameters: [
        "collector",
        "--audit-listen",
        ":0",
        "--ops-listen",
        "127.0.0.1:0",
        ...pem,
        "--spool-bytes",
        "0",
        "--nats-url",
        "nats://127.0.0.1:1"
      ],
      says: /Off loopback the audit webhook needs credentials: give --audit-tokens/
    }
  ]
  for (const { what, parameters, environment, says } of wrong) {
    it(`${what} is one sentence without a stack, exit code 2`, async () => {
      const { all, code } = await run(parameters, environment)
      assert.match(all, says)
      assert.notMatch(all, /^\s+at /m)
      assert.strictEqual(code, 2)
    })
  }

  it("no password is shown: not of a wrong URL, and not of a file that is no YAML", async () => {
    await using folder = await temporaryFolder("config")
    const file = join(folder.path, "settings.yaml")
    const url = "htp://user:topsecret@host:1/db"
    writeFileSync(file, `clickhouseUrl: ${url}\n`)
    const answers = await Promise.all([
      run(["writer", "--clickhouse-url", url]),
      run(["writer"], { CLICKHOUSE_URL: url }),
      run(["writer", "--config", file]),
      run(["writer", "--nats-url", url])
    ])
    for (const { all, code } of answers) {
      assert.match(all, /"htp:\/\/\*\*\*@host:1\/db"\. Expected: a URL that starts with/)
      assert.notInclude(all, "topsecret")
      assert.strictEqual(code, 2)
    }
    const headers = await run(["writer", "--otlp-headers", "authorization=Bearer topsecret"])
    assert.match(headers.all, /--otlp-headers: "\*\*\*"\. Expected: name=value, comma-separated/)
    assert.notInclude(headers.all, "topsecret")
    assert.strictEqual(headers.code, 2)
    writeFileSync(file, `opsListen: 127.0.0.1:0\nclickhouseUrl: "http://user:topsecret@host\n`)
    const { all, code } = await run(["writer", "--config", file])
    assert.match(all, /settings\.yaml is not YAML: line \d, column \d+: Missing closing/)
    assert.notInclude(all, "topsecret")
    assert.strictEqual(code, 2)
  })

  it("a file of settings gives what flags and environment do not, and names what it may not hold", async () => {
    await using folder = await temporaryFolder("config")
    const file = join(folder.path, "settings.yaml")
    writeFileSync(file, "opsListen: nonsense\n")
    assert.match((await run(["up", "--config", file])).all, /--ops-listen: "nonsense"/)
    assert.match((await run(["up", "--config", file], { ACTIVITY_OPS_LISTEN: "other" })).all, /--ops-listen: "other"/)
    assert.match((await run(["up"], { ACTIVITY_CONFIG: file })).all, /--ops-listen: "nonsense"/)
    writeFileSync(file, "opsLisen: 127.0.0.1:0\n")
    const misspelt = await run(["up", "--config", file])
    assert.match(misspelt.all, /"opsLisen" is no setting of any program/)
    assert.strictEqual(misspelt.code, 2)
    writeFileSync(file, "policies: [a]\n")
    assert.match((await run(["up", "--config", file])).all, /"policies" must be a text, a number, true or false/)
  })
})
