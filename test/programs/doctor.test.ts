/** `activity doctor` on set-ups that were broken for real: servers away, streams changed, tables missing, files wrong. */
import { createClient } from "@clickhouse/client"
import {
  AckPolicy,
  DiscardPolicy,
  jetstreamManager,
  type JetStreamManager,
  RetentionPolicy,
  StorageType
} from "@nats-io/jetstream"
import { connect, nanos } from "@nats-io/transport-node"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { findNatsServer } from "../../src/clients/nats/findNatsServer.ts"
import type { DoctorSettings } from "../../src/programs/doctor/config.ts"
import type { Finding } from "../../src/programs/doctor/Finding.ts"
import { findingsTable } from "../../src/programs/doctor/findingsTable.ts"
import { findFaults } from "../../src/programs/doctor/program.ts"
import { clockFindings } from "../../src/programs/doctor/storeFindings.ts"
import { makeAuthority } from "../support/certificates.ts"
import { startProcess, startProgram } from "../support/childProcess.ts"
import { eventually } from "../support/eventually.ts"
import { freePort } from "../support/freePort.ts"
import { writeKubeconfig } from "../support/kubeconfig.ts"
import { type RunningProgram, startSystem, type System } from "../support/system.ts"

const policy = {
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ActivityPolicy",
  metadata: { name: "apps-deployment" },
  spec: {
    resource: { apiGroup: "apps", kind: "Deployment" },
    auditRules: [{ name: "create", match: "audit.verb == 'create'", summary: "{{ actor }} created it" }]
  }
}

let system: System
let programs: ReadonlyArray<RunningProgram> = []
/** What a set-up without a fault is looked at with. */
let settings: DoctorSettings

const run = async (flags: ReadonlyArray<string>) => {
  const program = startProgram(["doctor", ...flags])
  const { code } = await program.exited
  return { code, stdout: program.stdout(), all: program.log() }
}

/** The faults that it finds with other settings, `problem` and `setting` of each. */
const faults = async (changed: Partial<DoctorSettings> = {}): Promise<ReadonlyArray<readonly [string, string]>> => {
  const findings = await Effect.runPromise(findFaults({ ...settings, ...changed }))
  for (const { part, remedy } of findings) assert.isTrue(part !== "" && remedy !== "", part)
  assert.notMatch(JSON.stringify(findings), /s3cret|a-long-random-text|admin-token/)
  return findings.map(({ problem, setting }) => [problem, setting] as const)
}

/** Exactly these, each by how it begins and by its setting. */
const assertFaults = (
  found: ReadonlyArray<readonly [string, string]>,
  ...expected: ReadonlyArray<readonly [RegExp, string]>
) => {
  assert.lengthOf(found, expected.length, JSON.stringify(found))
  for (const [index, [problem, setting]] of expected.entries()) {
    assert.match(found[index]?.[0] ?? "", problem)
    assert.strictEqual(found[index]?.[1], setting)
  }
}

const withManager = async <A>(use: (manager: JetStreamManager) => Promise<A>): Promise<A> => {
  const client = await connect({ servers: system.nats.url })
  return use(await jetstreamManager(client)).finally(() => client.close())
}

/** As somebody who knows where they are kept; false while there is no such place. */
const putPolicy = async (name: string, text: string): Promise<boolean> => {
  const client = await connect({ servers: system.nats.url })
  const answer = client.request(`$KV.activity_policies.${name}`, text).then(
    () => true,
    () => false
  )
  return answer.finally(() => client.close())
}

const withClickHouse = async (...statements: ReadonlyArray<string>) => {
  const client = createClient({ url: system.bridge.url })
  for (const query of statements) await client.command({ query })
  await client.close()
}

const write = (name: string, text: string): string => {
  const path = join(system.folder, name)
  writeFileSync(path, text)
  return path
}

/** Another nats-server than the system's, on a port of its own. */
const startOtherNats = async (...flags: ReadonlyArray<string>) => {
  const port = await freePort()
  const process = startProcess({
    command: await Effect.runPromise(findNatsServer),
    arguments: ["--addr", "127.0.0.1", "--port", String(port), ...flags]
  })
  await process.waitForLine(/Server is ready/)
  return { url: `nats://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => process.kill() }
}

const webhookText = async (collector: string, token: string): Promise<string> => {
  const print = startProgram(["print", "webhook-kubeconfig", "--collector", collector])
  await print.exited
  return print.stdout().replace("TOKEN", token)
}

beforeAll(async () => {
  system = await startSystem()
  const auditTokens = write("audit-tokens.yaml", "- token: a-long-random-text\n  cluster: east\n")
  const collector = await system.start("collector", ["--audit-tokens", auditTokens])
  programs = [collector, await system.start("processor"), await system.start("writer")]
  await eventually("the bucket of policies is there", () => putPolicy("apps-deployment", JSON.stringify(policy)))
  write("ca.crt", system.authority)
  settings = {
    config: "",
    natsUrl: system.nats.url,
    natsCa: "",
    natsCertificate: "",
    natsKey: "",
    natsCredentials: "",
    clickHouseUrl: `${system.bridge.url}/activity`,
    clickHouseCa: "",
    kubeconfig: "",
    policyStore: "nats",
    streamScale: 1,
    tlsCertificate: join(system.folder, "tls/server.crt"),
    tlsKey: join(system.folder, "tls/server.key"),
    tlsNames: ["localhost", "127.0.0.1"],
    tokensFile: join(system.folder, "tokens.yaml"),
    rolesFile: join(system.folder, "roles.yaml"),
    tokenFile: auditTokens,
    auditClientCa: "",
    auditWebhook: write("webhook.kubeconfig", await webhookText(collector.url, "a-long-random-text")),
    accounts: "",
    json: false
  }
})
afterAll(() => system[Symbol.asyncDispose]())

describe("activity doctor", { timeout: 120_000 }, () => {
  it("finds no fault in a set-up without one, says what it did not look at, and ends with 0", async () => {
    assert.deepStrictEqual(await faults(), [])
    const said = "No fault found in nats, clickhouse. Not looked at: cluster (--kubeconfig); tls (--tls-certificate); "
    assert.deepStrictEqual(await run(["--nats-url", settings.natsUrl, "--clickhouse-url", settings.clickHouseUrl]), {
      code: 0,
      stdout: `${said}callers (--tokens, --roles, --audit-tokens); audit (--audit-webhook).\n`,
      all: `${said}callers (--tokens, --roles, --audit-tokens); audit (--audit-webhook).\n`
    })
  })

  it("looks at what a setting names, and at nothing else", async () => {
    assert.deepStrictEqual(await faults({ natsUrl: "", clickHouseUrl: "" }), [])
    const tls = await run(["--tls-certificate", settings.tlsCertificate, "--tls-key", settings.tlsKey])
    assert.strictEqual(tls.code, 0, tls.all)
    assert.match(
      tls.stdout,
      /^No fault found in tls\. Not looked at: nats \(--nats-url\); clickhouse \(--clickhouse-url\);/
    )
    const none = await run([])
    assert.strictEqual(none.code, 2, none.all)
    assert.match(none.all, /^Nothing to look at: give one of --nats-url, --clickhouse-url, --kubeconfig, /)
  })

  it("prints a row for each fault, or JSON, and ends with 1; a setting that cannot be read ends with 2", async () => {
    const flags = ["--nats-url", settings.natsUrl, "--clickhouse-url", "embedded:/nowhere/at/all"]
    const table = await run(flags)
    assert.strictEqual(table.code, 1, table.all)
    const [head = "", row = "", end = ""] = table.stdout.split("\n")
    assert.match(head, /^PART +WHAT IS WRONG +SETTING +WHAT TO DO$/)
    assert.match(
      row,
      /^clickhouse +the folder \/nowhere\/at\/all is not there +--clickhouse-url +run activity migrate$/
    )
    assert.match(end, /^1 fault found in nats, clickhouse\. Not looked at/)
    const json = await run([...flags, "--json"])
    assert.strictEqual(json.code, 1, json.all)
    assert.deepStrictEqual(JSON.parse(json.stdout), [
      {
        severity: "fault",
        part: "clickhouse",
        problem: "the folder /nowhere/at/all is not there",
        setting: "--clickhouse-url",
        remedy: "run activity migrate"
      }
    ])
    assert.strictEqual((await run([...flags, "--stream-scale", "none"])).code, 2)
  })

  it("changes nothing: neither streams nor tables are made where there are none", async () => {
    await using folder = await startOtherNats("--jetstream", "--store_dir", join(system.folder, "empty"))
    const found = await faults({ natsUrl: folder.url, clickHouseUrl: `embedded:${system.folder}/none` })
    assert.includeDeepMembers(
      [...found],
      [
        ["the stream AUDIT_EVENTS is missing", "--nats-url"],
        [`the folder ${system.folder}/none is not there`, "--clickhouse-url"]
      ]
    )
    const client = await connect({ servers: folder.url })
    assert.deepStrictEqual((await (await jetstreamManager(client)).getAccountInfo()).streams, 0)
    await client.close()
  })

  it("NATS is away", async () => {
    const url = `nats://joe:s3cret@127.0.0.1:${await freePort()}`
    assertFaults(await faults({ natsUrl: url }), [
      /^not connected to nats:\/\/127\.0\.0\.1:\d+ .*ECONNREFUSED/,
      "--nats-url"
    ])
  })

  it("NATS has no JetStream", async () => {
    await using other = await startOtherNats()
    assertFaults(await faults({ natsUrl: other.url }), [/^JetStream is not enabled there$/, "--nats-url"])
  })

  it("NATS takes smaller messages than records are", async () => {
    // 1 MiB, where its configuration says nothing else.
    await using other = await startOtherNats("--jetstream", "--store_dir", join(system.folder, "small"))
    const [first] = await faults({ natsUrl: other.url })
    assert.match(first?.[0] ?? "", /^the largest message is 1 MiB: larger records lose their bodies/)
  })

  it("the collector is not reached: by its address, its authority, its name, its path or its token", async () => {
    const good = readFileSync(settings.auditWebhook, "utf8")
    const server = /server: "?([^\s"]+)/.exec(good)?.[1] ?? ""
    const { certificate } = await makeAuthority("somebody-else")
    write("other-ca.crt", certificate)
    const broken: ReadonlyArray<readonly [string, RegExp]> = [
      [good.replace(/:\d+\/audit/, `:${await freePort()}/audit`), /nobody answers \(ECONNREFUSED\)/],
      [good.replace("ca.crt", "other-ca.crt"), /certificate is not believed/],
      [
        good.replace(/( *)server: .*/, (line, space: string) => `${line}\n${space}tls-server-name: elsewhere`),
        /is for another name/
      ],
      [good.replace("/audit", "/wrong"), /wrong takes no records/],
      [good.replace("a-long-random-text", "another"), /does not know its token/],
      [good.replace("/audit", "/audit/west"), /speaks for another cluster/],
      [good.replace("ca.crt", "none.crt"), /none\.crt: no such file/]
    ]
    assert.match(server, /^https:.*\/audit$/)
    for (const [text, expected] of broken) {
      const path = write("broken.kubeconfig", text)
      assertFaults(await faults({ auditWebhook: path }), [expected, "--audit-webhook"])
    }
  })

  it("dead letters wait", async () => {
    const body = '{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"kind":"Event"}]}'
    const answer = await programs[0]?.request("", { method: "POST", token: "a-long-random-text", body })
    assert.strictEqual(answer?.status, 422, answer?.text)
    assertFaults(await faults(), [/^1 dead letter waits/, ""])
    await withManager((manager) => manager.streams.purge("DEAD_LETTERS"))
    assert.deepStrictEqual(await faults(), [])
  })

  it("a policy that was written around the API is not ready", async () => {
    const broken = {
      ...policy,
      metadata: { name: "broken" },
      spec: { ...policy.spec, auditRules: [{ match: "nope(", summary: "it" }] }
    }
    await putPolicy("broken", JSON.stringify(broken))
    const found = await faults()
    await putPolicy("broken", "no JSON")
    const second = await faults()
    await withManager((manager) =>
      manager.streams.purge("KV_activity_policies", { filter: "$KV.activity_policies.broken" })
    )
    assertFaults(found, [/^the policy broken is not ready: spec\.auditRules\[0\]\.match: /, "--policy-store"])
    assertFaults(second, [/^the policy broken is not ready: it is no ActivityPolicy/, "--policy-store"])
  })

  describe("certificates and files", () => {
    it("a certificate that ended, for another host, or with another key", async () => {
      const authority = await makeAuthority("authority")
      const ended = await authority.client("apiserver", [], { isExpired: true })
      const good = await authority.server("apiserver", ["activity.example.com"])
      const pair = (certificate: string, key: string) => ({
        tlsCertificate: write("broken.crt", certificate),
        tlsKey: write("broken.key", key)
      })
      assertFaults(await faults({ ...pair(ended.certificate, ended.key), tlsNames: [] }), [
        /^the certificate ended at /,
        "--tls-certificate"
      ])
      assertFaults(
        await faults({ ...pair(good.certificate, good.key), tlsNames: ["activity.example.com", "10.0.0.1"] }),
        [/^the certificate is not for 10\.0\.0\.1: DNS:activity\.example\.com/, "--tls-certificate"]
      )
      assertFaults(await faults(pair(good.certificate, ended.key)), [
        /the key is not that of the certificate$/,
        "--tls-certificate"
      ])
    })

    it("files of tokens and roles that cannot be used are named, without what is in them", async () => {
      const tokens = write("broken-tokens.yaml", "- token: s3cret\n")
      const roles = write("broken-roles.yaml", "kind: Secret\n")
      assertFaults(
        await faults({ tokensFile: tokens, rolesFile: roles, tokenFile: "/nowhere" }),
        [/broken-tokens\.yaml cannot be read: it is no list of/, "--tokens"],
        [/broken-roles\.yaml cannot be read: document 1 is no RBAC object/, "--roles"],
        [/nowhere/, "--audit-tokens"]
      )
      const kind = (name: string) => `kind: ${name}\nmetadata: { name: people }\n`
      const bound = `${kind("ClusterRoleBinding")}subjects: [{ kind: User, name: alice }]\nroleRef: { kind: ClusterRole, name: poeple }\n`
      assertFaults(await faults({ rolesFile: write("unbound-roles.yaml", `${kind("ClusterRole")}---\n${bound}`) }), [
        /^ClusterRoleBinding\/people grants nothing: ClusterRole\/poeple is not in the file$/,
        "--roles"
      ])
      const right = write("bound-roles.yaml", `${kind("ClusterRole")}---\n${bound.replace("poeple", "people")}`)
      assertFaults(await faults({ rolesFile: right }))
    })
  })

  it("the clock of the cluster's API server is an hour behind", async () => {
    // Allows everything; its answers have the date that its clock says.
    const server = createServer((request, response) => {
      request.resume()
      response.setHeader("date", new Date(Date.now() - 3_600_000).toUTCString())
      response.writeHead(200, { "content-type": "application/json" }).end('{"status":{"allowed":true}}')
    })
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
    // The address of a listening TCP server is an AddressInfo.
    const { port } = server.address() as AddressInfo
    const found = await faults({ kubeconfig: writeKubeconfig(system.folder, `http://127.0.0.1:${port}`) })
    server.close()
    assertFaults(found, [/^its clock is 3[56]\d\d s behind this machine's$/, "--kubeconfig"])
  })

  describe("the store", () => {
    it("ClickHouse is away", async () => {
      const url = `http://joe:s3cret@127.0.0.1:${await freePort()}/activity`
      assertFaults(await faults({ clickHouseUrl: url }), [
        /^ClickHouse does not answer: ECONNREFUSED/,
        "--clickhouse-url"
      ])
    })

    it("nothing was migrated, or not to this version", async () => {
      assertFaults(await faults({ clickHouseUrl: `${system.bridge.url}/nobodys` }), [
        /^ClickHouse refuses: .*nobodys.* does not exist/,
        "--clickhouse-url"
      ])
      await withClickHouse("CREATE DATABASE old")
      assertFaults(await faults({ clickHouseUrl: `${system.bridge.url}/old` }), [
        /^the tables are older than this version: 0001_initial\.sql/,
        "--clickhouse-url"
      ])
    })

    it("a table has an engine that keeps what comes twice, another is missing", async () => {
      const url = `${system.bridge.url}/plain`
      assert.strictEqual((await startProgram(["migrate", "--clickhouse-url", url]).exited).code, 0)
      await withClickHouse(
        "DROP TABLE plain.activities SYNC",
        "CREATE TABLE plain.activities (id UUID) ENGINE = MergeTree ORDER BY id",
        "DROP TABLE plain.k8s_events SYNC"
      )
      assertFaults(
        await faults({ clickHouseUrl: url }),
        [/^the table activities has the engine MergeTree/, "--clickhouse-url"],
        [/^the table k8s_events is missing/, "--clickhouse-url"]
      )
    })

    it("what may be as it is wanted is a hint: it is printed, and ends with 0", async () => {
      const columns = "(ts, id, user, verb, api_group, resource, stage, status_code)"
      const written = "'ResponseComplete', 201 FROM numbers"
      await withClickHouse(
        `INSERT INTO activity.audit_logs ${columns} SELECT now64(6), generateUUIDv4(), 'alice', 'create', 'apps', 'deployments', ${written}(3)`,
        `INSERT INTO activity.audit_logs ${columns} SELECT now64(6), generateUUIDv4(), 'bob', 'update', '', 'secrets', ${written}(1)`
      )
      const problems = [
        "the policy apps-deployment told nothing in 7 days of 3 records of deployments.apps",
        "people changed in 7 days what no policy is for: secrets (1)"
      ]
      const flags = ["--nats-url", settings.natsUrl, "--clickhouse-url", settings.clickHouseUrl]
      const json = await run([...flags, "--json"])
      assert.strictEqual(json.code, 0, json.all)
      const found: ReadonlyArray<Finding> = JSON.parse(json.stdout)
      assert.deepStrictEqual(
        found.map(({ part, problem, severity }) => [severity, part, problem]),
        problems.map((problem) => ["hint", "policies", problem])
      )
      const table = await run(flags)
      assert.strictEqual(table.code, 0, table.all)
      assert.match(
        table.stdout,
        /^PART +WHAT MAY BE WRONG +SETTING +WHAT TO DO\npolicies +the policy apps-deployment told/
      )
      assert.include(table.stdout, "\nNo fault and 2 hints found in nats, clickhouse. Not looked at")

      // What there is to tell is not known where the policies are not.
      const away = { natsUrl: `nats://127.0.0.1:${await freePort()}` }
      assertFaults(await faults(away), [/^not connected to/, "--nats-url"])
      await withClickHouse("TRUNCATE TABLE activity.audit_logs SYNC")
      assert.deepStrictEqual(await faults(), [])
    })

    it("its clock is off by more than is bearable", () => {
      assert.deepStrictEqual(clockFindings("clickhouse", "--clickhouse-url", 9_000), [])
      const [found] = clockFindings("clickhouse", "--clickhouse-url", -61_000)
      assert.strictEqual(found?.problem, "its clock is 61 s behind this machine's")
    })
  })

  // Programs set streams back within a second: these are the last, and no program runs any more.
  describe("streams", () => {
    beforeAll(async () => {
      await Promise.all(programs.map(({ process }) => process.terminate()))
      settings = { ...settings, auditWebhook: "" }
      assert.deepStrictEqual(await faults(), [])
    })

    it("one throws away what was not read", async () => {
      await withManager((manager) =>
        manager.streams.update("AUDIT_EVENTS", { discard: DiscardPolicy.Old, max_age: nanos(3_600_000) })
      )
      assertFaults(
        await faults(),
        [/^AUDIT_EVENTS throws its oldest away when it is full/, "--nats-url"],
        [/^AUDIT_EVENTS deletes what is older than 3600 s/, "--nats-url"]
      )
      await withManager((manager) => manager.streams.update("AUDIT_EVENTS", { discard: DiscardPolicy.New, max_age: 0 }))
    })

    it("a required consumer is missing, and trimming stopped", async () => {
      await withManager((manager) => manager.consumers.delete("MILO_EVENTS", "writer"))
      assertFaults(await faults(), [
        /^the consumer writer of MILO_EVENTS is missing: the stream is not trimmed/,
        "--nats-url"
      ])
      await withManager((manager) =>
        manager.consumers.add("MILO_EVENTS", { durable_name: "writer", filter_subject: "events.project.>" })
      )
      assertFaults(await faults(), [/^the consumer writer of MILO_EVENTS is not as the writer makes it/, "--nats-url"])
      await withManager(async (manager) => {
        await manager.consumers.delete("MILO_EVENTS", "writer")
        await manager.consumers.add("MILO_EVENTS", { durable_name: "writer", ack_policy: AckPolicy.Explicit })
      })
    })

    it("a program does not run, and messages wait for it", async () => {
      const client = await connect({ servers: system.nats.url })
      await client.request("audit.k8s.east", "{}")
      await client.close()
      assertFaults(
        await faults(),
        [/^1 message of AUDIT_EVENTS waits for the writer, and it does not take them/, "--nats-url"],
        [/^1 message of AUDIT_EVENTS waits for the processor, and it does not take them/, "--nats-url"]
      )
      await withManager((manager) => manager.streams.purge("AUDIT_EVENTS"))
      assert.deepStrictEqual(await faults(), [])
    })

    it("the settings of this program are not those of the others", async () => {
      const found = await faults({ streamScale: 2 })
      assert.deepInclude(found, ["AUDIT_EVENTS holds 1024 MiB, the settings say 2048 MiB", "--stream-scale"])
    })

    it("one is missing, or was made by somebody else", async () => {
      await withManager((manager) => manager.streams.delete("ACTIVITIES"))
      assert.deepInclude(await faults(), ["the stream ACTIVITIES is missing", "--nats-url"])
      await withManager((manager) =>
        manager.streams.add({
          name: "ACTIVITIES",
          subjects: ["activities.>"],
          retention: RetentionPolicy.Workqueue,
          storage: StorageType.Memory,
          max_bytes: 512 * 2 ** 20
        })
      )
      const problems = (await faults()).map(([problem]) => problem).filter((problem) => problem.includes("ACTIVITIES"))
      assert.deepStrictEqual(
        problems.map((problem) => problem.replace(/[:(].*/, "").trim()),
        [
          "ACTIVITIES has retention workqueue",
          "ACTIVITIES is kept in memory",
          "ACTIVITIES throws its oldest away when it is full",
          "the consumer writer of ACTIVITIES is missing"
        ]
      )
    })
  })

  it("its table fits the terminal, and loses no word", () => {
    const problem = "the consumer writer of MILO_EVENTS is missing: the stream is not trimmed, and fills"
    const remedy = "start the writer: it continues where it was"
    for (const width of [80, 100, 200]) {
      const table = findingsTable([{ severity: "fault", part: "nats", problem, setting: "--nats-url", remedy }], width)
      for (const line of table.split("\n")) assert.isAtMost(line.length, width)
      for (const word of `${problem} ${remedy}`.split(" ")) assert.include(table, word)
    }
  })
})
