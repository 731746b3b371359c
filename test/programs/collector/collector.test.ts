/** The collector as a process, against a real nats-server: by webhook and by file. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import type { IncomingMessage } from "node:http"
import { request } from "node:https"
import { join } from "node:path"
import { stringify } from "yaml"
import { serverCertificate } from "../../../src/runtime/Tls.ts"
import { type Bus, connectBus } from "../../support/bus.ts"
import { makeAuthority } from "../../support/certificates.ts"
import { type ChildProcess, startProgram } from "../../support/childProcess.ts"
import { eventually } from "../../support/eventually.ts"
import { freePort } from "../../support/freePort.ts"
import { readLedger } from "../../support/ledger.ts"
import { madeRecords, recordText } from "../../support/madeRecords.ts"
import { startNatsServer } from "../../support/natsServer.ts"
import { writeRotatingLog } from "../../support/rotatingLog.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"

interface Collector {
  readonly process: ChildProcess
  /** Of probes and metrics. */
  readonly look: (path: string) => Promise<{ readonly status: number; readonly text: string }>
}

const start = async (nats: string, flags: ReadonlyArray<string>): Promise<Collector> => {
  const port = await freePort()
  const process = startProgram(["collector", "--nats-url", nats, "--ops-listen", `127.0.0.1:${port}`, ...flags])
  await process.waitForLine(/collector started/)
  const look: Collector["look"] = async (path) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: answer.status, text: await answer.text() }
  }
  return { process, look }
}

const auditUrl = ({ process }: Collector): string => /"audit":"(https:[^"]+)"/.exec(process.log())?.[1] ?? ""

/** What a posted batch was answered with. */
const post = (
  url: string,
  items: ReadonlyArray<string>,
  options: { readonly ca: string; readonly cert?: string; readonly key?: string; readonly token?: string }
): Promise<{ readonly status: number; readonly text: string }> =>
  new Promise((resolve, reject) => {
    const { token, ...tls } = options
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const sending = request(url, { method: "POST", agent: false, headers, ...tls }, (response: IncomingMessage) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }))
    })
    sending.on("error", reject)
    sending.end(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${items.join(",")}]}`)
  })

const namesIn = (bodies: ReadonlyArray<Uint8Array>): ReadonlyArray<string> =>
  bodies.map((body) => JSON.parse(Buffer.from(body).toString()).objectRef.name)

const publishedNames = async (bus: Bus): Promise<ReadonlyArray<string>> =>
  namesIn((await bus.messages("AUDIT_EVENTS")).map(({ body }) => body))

const canary = "c4nary-hunter2-swordfish"
const jwt = `eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjNG5hcnkifQ.${Buffer.from(canary).toString("base64url")}`

/** Nothing of these may be anywhere. */
const leaks = [canary, Buffer.from(canary).toString("base64").replace(/=+$/, ""), jwt.slice(-20)]

const leaking = (name: string, change: object): string =>
  JSON.stringify({
    ...JSON.parse(recordText({ auditID: `leak-${name}`, name, receivedMillis: 1_795_000_000_000 })),
    responseObject: undefined,
    ...change
  })

const secretRef = { resource: "secrets", namespace: "made", name: "leak", apiVersion: "v1" }

const leakingRecords: ReadonlyArray<string> = [
  leaking("secret", {
    objectRef: secretRef,
    requestObject: {
      kind: "Secret",
      apiVersion: "v1",
      metadata: {
        annotations: { "kubectl.kubernetes.io/last-applied-configuration": `{"stringData":{"a":"${canary}"}}` }
      },
      stringData: { a: canary }
    },
    responseObject: { kind: "Secret", apiVersion: "v1", data: { a: Buffer.from(canary).toString("base64") } }
  }),
  leaking("patch", {
    objectRef: secretRef,
    verb: "patch",
    requestObject: [{ op: "add", path: "/data/a", value: canary }]
  }),
  leaking("token", {
    objectRef: { resource: "serviceaccounts", subresource: "token", name: "t" },
    responseObject: { status: { token: jwt } }
  }),
  leaking("note", {
    requestObject: {
      kind: "Event",
      note: `Authorization: Bearer ${jwt}`,
      metadata: { annotations: { "a/password": canary } }
    }
  }),
  leaking("uri", { requestURI: `/api/v1/pods?token=${canary}`, userAgent: `curl --password=${canary}` }),
  leaking("pin", { requestObject: { kind: "ConfigMap", data: { pin: canary, open: "yes" } } }),
  // Unreadable ones, which become dead letters: no stage; no JSON.
  leaking("unstaged", { stage: "Later", objectRef: secretRef, requestObject: { data: { a: canary } } }),
  leaking("torn", { objectRef: secretRef, requestObject: { data: { a: canary } } }).replace("}}", "},}")
]

/** Files below a folder that hold one of the leaks. */
const leakingFiles = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .filter((path) => leaks.some((leak) => readFileSync(path).includes(leak)))

const redact = ["--redact", "configmaps:data.pin"]

describe("a collector", () => {
  it("lets no secret past it: by webhook and by file, with the bus and without", { timeout: 90_000 }, async () => {
    await using nats = await startNatsServer()
    await using folder = await temporaryFolder("canaries")
    const tls = await Effect.runPromise(serverCertificate(join(folder.path, "tls"), []))
    const spool = join(folder.path, "kept/webhook")
    const log = join(folder.path, "audit.log")
    const pem = [
      "--tls-certificate",
      join(folder.path, "tls/server.crt"),
      "--tls-key",
      join(folder.path, "tls/server.key")
    ]
    writeFileSync(log, leakingRecords.map((text) => `${text}\n`).join(""))
    const byWebhook = await start(nats.url, ["--audit-listen", "127.0.0.1:0", "--spool", spool, ...pem, ...redact])
    const byFile = await start(nats.url, [
      "--file",
      log,
      "--spool",
      join(folder.path, "kept/file"),
      "--cluster",
      "by-file",
      ...redact
    ])
    const answer = await post(auditUrl(byWebhook), leakingRecords, { ca: tls.authority })
    assert.strictEqual(answer.status, 200, answer.text)
    assert.deepStrictEqual(
      JSON.parse(answer.text).unreadable.map(({ index }: { index: number }) => index),
      [6, 7]
    )
    {
      await using bus = connectBus(nats.url)
      const messages = await eventually("both have published all", async () => {
        const all = [...(await bus.messages("AUDIT_EVENTS")), ...(await bus.messages("DEAD_LETTERS"))]
        return all.length === 16 ? all : undefined
      })
      for (const { body, subject } of messages) {
        for (const leak of leaks) assert.isFalse(Buffer.from(body).includes(leak), `${subject}: ${leak}`)
      }
      // The rest of the records is there.
      assert.isTrue(messages.some(({ body }) => Buffer.from(body).includes(`"pin":"REDACTED","open":"yes"`)))
    }
    assert.match((await byWebhook.look("/metrics")).text, /^activity_collector_redacted_total 11$/m)
    await nats.kill()
    assert.strictEqual((await post(auditUrl(byWebhook), leakingRecords, { ca: tls.authority })).status, 200)
    appendFileSync(log, leakingRecords.map((text) => `${text.replaceAll("leak-", "more-")}\n`).join(""))
    const kept = join(folder.path, "kept")
    await eventually("both spools hold something", () =>
      ["webhook", "file"].every((name) =>
        readdirSync(join(kept, name)).some(
          (file) => file.endsWith(".spool") && statSync(join(kept, name, file)).size > 0
        )
      )
    )
    assert.deepStrictEqual(leakingFiles(kept), [])
    assert.deepStrictEqual(leakingFiles(nats.folder), [])
    for (const { process } of [byWebhook, byFile]) {
      await process.kill()
      for (const leak of leaks) assert.notInclude(process.log(), leak)
    }
  })

  it(
    "reads a log that is rotated and compressed under load, killed five times and without its bus: nothing lost, nothing twice",
    { timeout: 120_000 },
    async () => {
      await using nats = await startNatsServer()
      await using folder = await temporaryFolder("audit-file")
      const log = join(folder.path, "log/audit.log")
      mkdirSync(join(folder.path, "log"))
      const ledgerPath = join(folder.path, "ledger")
      // Without a spool the file alone keeps what the bus does not take.
      const flags = ["--file", log, "--spool", join(folder.path, "state"), "--spool-bytes", "0"]
      const writing = writeRotatingLog(log, ledgerPath)
      let program = await start(nats.url, flags)
      for (let kill = 0; kill < 5; kill++) {
        const before = readLedger(ledgerPath).sent.size
        await eventually("more was written", () => readLedger(ledgerPath).sent.size > before + 200)
        await program.process.kill()
        if (kill === 2) await nats.kill()
        program = await start(nats.url, flags)
        if (kill === 2) {
          const then = readLedger(ledgerPath).sent.size
          await eventually("more was written without a bus", () => readLedger(ledgerPath).sent.size > then + 200)
          await nats.start()
        }
      }
      const sent = await writing.stop()
      await using bus = connectBus(nats.url)
      const names = await eventually("all is published", async () => {
        const published = await publishedNames(bus)
        return new Set(published).size >= sent.size ? published : undefined
      })
      assert.deepStrictEqual(new Set(names), sent)
      // Each came with its id, and the bus has absorbed what was read again.
      assert.strictEqual(names.length, sent.size)
      assert.deepStrictEqual(await program.process.terminate(), { code: 0, signal: undefined })
      assert.isAbove(readdirSync(join(folder.path, "log")).filter((name) => name.endsWith(".gz")).length, 1)
      assert.notMatch(program.process.log(), /gone before it was read/)
    }
  )

  it("is ready while its log is there, and says what it waits for", async () => {
    await using nats = await startNatsServer()
    await using folder = await temporaryFolder("missing-log")
    const log = join(folder.path, "audit.log")
    const program = await start(nats.url, ["--file", log, "--spool", join(folder.path, "spool")])
    await eventually("it is not ready", async () => (await program.look("/readyz")).status === 503)
    assert.match((await program.look("/healthz?verbose")).text, /audit\.log is not there yet/)
    writeFileSync(
      log,
      madeRecords("late", 1)
        .map((made) => `${recordText(made)}\n`)
        .join("")
    )
    await eventually("it is ready", async () => (await program.look("/readyz")).status === 200)
    await eventually("all is read", async () =>
      /^activity_collector_file_lag_bytes 0$/m.test((await program.look("/metrics")).text)
    )
    assert.deepStrictEqual(await program.process.terminate(), { code: 0, signal: undefined })
    // Its position is kept: the next life reads nothing again.
    const next = await start(nats.url, ["--file", log, "--spool", join(folder.path, "spool")])
    appendFileSync(
      log,
      madeRecords("later", 1)
        .map((made) => `${recordText(made)}\n`)
        .join("")
    )
    const metrics = await eventually("the new one is published", async () => {
      const { text } = await next.look("/metrics")
      return /outcome="published"[^}]*} 1$/m.test(text) ? text : undefined
    })
    assert.match(metrics, /activity_collector_records_total\{outcome="duplicate"\} 0/)
  })

  it("binds a sender to its cluster, by token and by certificate", async () => {
    await using nats = await startNatsServer()
    await using folder = await temporaryFolder("senders")
    const tls = await Effect.runPromise(serverCertificate(join(folder.path, "tls"), []))
    const authority = await makeAuthority("senders")
    const stranger = await makeAuthority("senders")
    const write = (name: string, text: string) => {
      writeFileSync(join(folder.path, name), text)
      return join(folder.path, name)
    }
    const senders = [
      { token: "east-token", cluster: "east" },
      { commonName: "kube-apiserver-west", cluster: "west" },
      { commonName: "gateway" }
    ]
    const program = await start(nats.url, [
      ...["--audit-listen", "127.0.0.1:0", "--spool", join(folder.path, "spool")],
      ...["--tls-certificate", join(folder.path, "tls/server.crt"), "--tls-key", join(folder.path, "tls/server.key")],
      ...[
        "--audit-tokens",
        write("senders.yaml", stringify(senders)),
        "--audit-client-ca",
        write("ca.crt", authority.certificate)
      ],
      ...["--cluster", "here"]
    ])
    // What /readyz waits for.
    assert.match((await program.look("/healthz?verbose")).text, /^\[\+\]audit-listener ok$/m)
    const url = auditUrl(program)
    const certificate = async (name: string, of = authority, options = {}) => {
      const made = await of.client(name, [], options)
      return { cert: made.certificate, key: made.key }
    }
    const west = await certificate("kube-apiserver-west")
    const record = (name: string) => recordText(madeRecords(name, 1)[0]!)
    const cases: ReadonlyArray<readonly [what: string, path: string, sender: object, status: number]> = [
      ["west", "", west, 200],
      ["west-named", "/west", west, 200],
      ["west-as-east", "/east", west, 403],
      ["gateway", "/north", await certificate("gateway"), 200],
      ["unknown-name", "", await certificate("mallory"), 401],
      ["unknown-authority", "", await certificate("kube-apiserver-west", stranger), 401],
      ["expired", "", await certificate("kube-apiserver-west", authority, { isExpired: true }), 401],
      ["nothing", "", {}, 401],
      ["east", "", { token: "east-token" }, 200],
      ["east-as-west", "/west", { token: "east-token" }, 403],
      // A token that is shown decides alone.
      ["wrong-token", "", { ...west, token: "guessed" }, 401],
      ["east-by-token", "", { ...west, token: "east-token" }, 200]
    ]
    for (const [what, path, sender, status] of cases) {
      const answer = await post(`${url}${path}`, [record(what)], { ca: tls.authority, ...sender })
      assert.strictEqual(answer.status, status, `${what}: ${answer.text}`)
    }
    await using bus = connectBus(nats.url)
    const stored = (await bus.messages("AUDIT_EVENTS")).map(
      ({ body, subject }) => `${subject.split(".").at(-1)} ${namesIn([body])[0]}`
    )
    assert.sameMembers(stored, [
      "west west-0",
      "west west-named-0",
      "north gateway-0",
      "east east-0",
      "east east-by-token-0"
    ])
  })

  it("with a wrong setting says what is wrong and ends with 2", async () => {
    const wrong: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
      [["--redact", "secrets"], /--redact: "secrets"\. Expected: RESOURCE\[\.GROUP\]:PATH/],
      [["--drop", "everything"], /--drop: "everything"\. Expected: rules separated by ";"/]
    ]
    for (const [flags, says] of wrong) {
      const program = startProgram(["collector", ...flags])
      assert.strictEqual((await program.exited).code, 2)
      assert.match(program.log(), says)
    }
  })
})
