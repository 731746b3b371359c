/** `activity doctor` on a real kube-apiserver in which something of an installation is missing, or wrong. */
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import type { Finding } from "../../src/programs/doctor/Finding.ts"
import { policiesSeen } from "../../src/programs/doctor/policiesSeen.ts"
import { infraWithFiles } from "../infra/secretFiles.ts"
import { makeAuthority } from "../support/certificates.ts"
import { startProgram } from "../support/childProcess.ts"
import { eventually } from "../support/eventually.ts"
import { freePort } from "../support/freePort.ts"
import { writeKubeconfig } from "../support/kubeconfig.ts"
import { startNatsServer, type TestNatsServer } from "../support/natsServer.ts"
import type { TemporaryFolder } from "../support/temporaryFolder.ts"
import { type Cluster, showLogsOfFailures, startCluster, startMillisMax } from "../system/cluster.ts"

describe("activity doctor at a cluster", { timeout: 180_000 }, () => {
  let cluster: Cluster
  let copy: TemporaryFolder
  let nats: TestNatsServer
  beforeAll(async () => {
    nats = await startNatsServer()
    copy = await infraWithFiles()
    cluster = await startCluster({ controllers: false })
  }, startMillisMax)
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]()
    await copy.remove()
    await nats.stop()
  })
  showLogsOfFailures(() => cluster)

  /** Its findings about the cluster and its policies; those about NATS and ClickHouse are others' to test. */
  const problems = async (flags: ReadonlyArray<string> = []): Promise<ReadonlyArray<string>> => {
    const program = startProgram([
      "doctor",
      "--json",
      "--nats-url",
      nats.url,
      "--clickhouse-url",
      "embedded:/nowhere/at/all",
      "--policy-store",
      "kubernetes",
      ...(flags.includes("--kubeconfig") ? [] : ["--kubeconfig", cluster.kubeconfig("admin")]),
      ...flags
    ])
    const { code } = await program.exited
    assert.strictEqual(code, 1, program.log())
    const found: ReadonlyArray<Finding> = JSON.parse(program.stdout())
    return found.flatMap(({ part, problem }) => (part === "cluster" || part === "policies" ? [problem] : []))
  }
  const accounts = ["--accounts", "activity-system"]

  const apply = async (...parameters: ReadonlyArray<string>) => {
    const { code, stderr } = await cluster.kubectl("admin", parameters)
    assert.strictEqual(code, 0, stderr)
  }

  it("nobody answers at the address of its kubeconfig", async () => {
    const nowhere = writeKubeconfig(cluster.folder, `https://127.0.0.1:${await freePort()}`)
    const found = await problems(["--kubeconfig", nowhere])
    assert.lengthOf(found, 1)
    assert.match(found[0] ?? "", /^the API server cannot be asked: .*ECONNREFUSED/)
  })

  it("nothing was installed: definitions, registrations and rights are missing", async () => {
    const found = await problems(accounts)
    assert.deepStrictEqual(
      found.map((problem) => problem.replace(/ may not .*/, " may not")),
      [
        "the definition activitypolicyrecords.storage.activity.miloapis.com is missing: no ActivityPolicyRecord can be kept",
        "the definition reindexjobrecords.storage.activity.miloapis.com is missing: no ReindexJobRecord can be kept",
        "the APIService v1alpha1.activity.miloapis.com is missing: kubectl does not know activities",
        "the APIService v1.activity.miloapis.com is missing: kubectl does not know activities",
        "system:serviceaccount:activity-system:activity-exporter may not",
        "system:serviceaccount:activity-system:activity-processor may not",
        "system:serviceaccount:activity-system:activity-controller may not",
        "system:serviceaccount:activity-system:activity-apiserver may not"
      ]
    )
    assert.include(found[4], "may not list events.events.k8s.io, watch events.events.k8s.io, list namespaces")
  })

  it("the user of the kubeconfig has no rights", async () => {
    const found = await problems(["--kubeconfig", await cluster.addUser("nobody")])
    assert.lengthOf(found, 1)
    assert.match(found[0] ?? "", /^the API server cannot be asked: .*forbidden: User "nobody"/)
  })

  it("what infra/base grants is what the programs need; one binding less is found", async () => {
    await apply("apply", "--kustomize", join(copy.path, "infra/base"))
    const registered = (problem: string) => !problem.startsWith("the APIService")
    await eventually("the definitions are established", async () =>
      (await problems(accounts)).every((problem) => !/is not established|may not/.test(problem))
    )
    assert.deepStrictEqual((await problems(accounts)).filter(registered), ["there is no policy: nothing is told"])
    // As an administrator nothing is missing either.
    assert.deepStrictEqual((await problems()).filter(registered), ["there is no policy: nothing is told"])
    await apply("delete", "clusterrolebinding", "activity-processor")
    const [found] = (await problems(accounts)).filter((problem) => problem.includes("may not"))
    assert.match(found ?? "", /activity-processor may not list activitypolicyrecords.*, list customresourcedefinitions/)
  })

  it("a policy that was written around the API is not ready", async () => {
    await cluster.apply({
      apiVersion: "storage.activity.miloapis.com/v1alpha1",
      kind: "ActivityPolicyRecord",
      metadata: { name: "broken" },
      spec: {
        resource: { apiGroup: "apps", kind: "Deployment" },
        auditRules: [{ name: "create", match: "nope(", summary: "{{ actor }} did" }]
      }
    })
    const found = (await problems()).filter((problem) => problem.includes("policy"))
    assert.lengthOf(found, 1)
    assert.match(found[0] ?? "", /^the policy broken is not ready: spec\.auditRules\[0\]\.match: /)
  })

  it("what policies are for is seen as the processor sees it: by the cluster's records, and its kinds", async () => {
    const settings = { natsUrl: nats.url, natsCa: "", natsCertificate: "", natsKey: "", natsCredentials: "" }
    const look = (kubeconfig: string) =>
      Effect.runPromise(policiesSeen({ ...settings, policyStore: "kubernetes", kubeconfig }))
    const seen = await look(cluster.kubeconfig("admin"))
    assert.deepStrictEqual(
      seen?.policies.map(({ metadata, spec }) => [metadata.name, spec.resource.kind]),
      [["broken", "Deployment"]]
    )
    assert.strictEqual(seen?.kindOf("apps", "deployments"), "Deployment")
    assert.strictEqual(seen?.kindOf("storage.activity.miloapis.com", "reindexjobrecords"), "ReindexJobRecord")
    assert.isUndefined(await look(writeKubeconfig(cluster.folder, `https://127.0.0.1:${await freePort()}`)))
  })

  it("the registration has nobody behind it, or another authority than the server", async () => {
    await apply("apply", "--kustomize", join(copy.path, "infra/apiservice"))
    const away = await problems()
    assert.match(
      away.find((problem) => problem.includes("v1alpha1.activity")) ?? "",
      /^the APIService v1alpha1\.activity\.miloapis\.com is not available, and no namespace can be deleted: /
    )
    await apply("delete", "--kustomize", join(copy.path, "infra/apiservice"))

    const own = await makeAuthority("somebody-else")
    const pair = await own.server("apiserver", ["stand-in.elsewhere.svc"])
    const server = createServer({ key: pair.key, cert: pair.certificate }, (_, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end("{}")
    })
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
    try {
      const registration = {
        group: "activity.miloapis.com",
        versions: ["v1alpha1", "v1"],
        namespace: "elsewhere",
        service: "stand-in",
        // The address of a listening TCP server is an AddressInfo.
        port: (server.address() as AddressInfo).port
      }
      await cluster.serve({ ...registration, authority: own.certificate })
      const registrations = async () => (await problems()).filter((problem) => problem.startsWith("the APIService"))
      assert.deepStrictEqual(await registrations(), [])
      const bundle = { spec: { caBundle: Buffer.from(cluster.authority).toString("base64") } }
      for (const version of registration.versions) {
        const name = `${version}.activity.miloapis.com`
        await apply("patch", "apiservice", name, "--type", "merge", "--patch", JSON.stringify(bundle))
      }
      const expected = ["v1alpha1", "v1"].map(
        (version) => `the APIService ${version}.activity.miloapis.com is available, and requests are answered 503`
      )
      await eventually("nobody believes it", async () => String(await registrations()) === String(expected))
    } finally {
      server.close()
      server.closeAllConnections()
    }
  })

  it("a kubeconfig that is none is named", async () => {
    const path = join(cluster.folder, "none.kubeconfig")
    writeFileSync(path, "[]")
    assert.deepStrictEqual(await problems(["--kubeconfig", path]), [`--kubeconfig ${path}: it is no kubeconfig`])
  })
})
