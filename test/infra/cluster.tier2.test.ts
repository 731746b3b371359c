/** infra on a real kube-apiserver with its controllers: what is applied is taken, and means what it says. */
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import type { TemporaryFolder } from "../support/temporaryFolder.ts"
import { type Cluster, showLogsOfFailures, startCluster } from "../system/cluster.ts"
import { definitionFiles } from "./crdsOfOthers.ts"
import { infraWithFiles } from "./secretFiles.ts"

const namespace = "activity-system"

/** What changes with every change of what somebody asked for, and with nothing else. */
const generationOf = "jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.generation}{'\\n'}{end}"

describe("infra in a cluster", { timeout: 180_000 }, () => {
  let cluster: Cluster
  let copy: TemporaryFolder
  beforeAll(async () => {
    copy = await infraWithFiles()
    cluster = await startCluster()
  })
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]()
    await copy.remove()
  })
  showLogsOfFailures(() => cluster)

  /** What kubectl says, line by line; a warning or a refusal fails. */
  const kubectl = async (...parameters: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
    const { code, stderr, stdout } = await cluster.kubectl("admin", parameters)
    assert.deepStrictEqual([code, stderr], [0, ""], parameters.join(" "))
    return stdout.split("\n").filter((line) => line !== "")
  }
  const folder = (name: string) => join(copy.path, "infra", name)
  const items = async (path: string) => {
    const answer = await cluster.request("admin", path)
    assert.strictEqual(answer.status, 200, answer.text)
    return answer.json().items
  }

  it("the base is applied without an error or a warning, and again changes nothing", async () => {
    const first = await kubectl("apply", "--kustomize", folder("base"))
    assert.isAbove(first.length, 30)
    assert.deepStrictEqual(
      first.filter((line) => !line.endsWith(" created")),
      []
    )
    const generations = () =>
      kubectl(
        "get",
        "deployments,statefulsets,jobs,poddisruptionbudgets",
        "--namespace",
        namespace,
        "--output",
        generationOf
      )
    const before = await generations()
    await kubectl("apply", "--kustomize", folder("base"))
    assert.deepStrictEqual(await generations(), before)
    // By a dry run on the server; it ends with 1 when something differs.
    assert.deepStrictEqual(await kubectl("diff", "--kustomize", folder("base")), [])
  })

  it("every program's pods are let into a namespace that enforces the level restricted", async () => {
    const expected = {
      apiserver: 2,
      collector: 2,
      controller: 2,
      exporter: 2,
      migrate: 1,
      processor: 2,
      writer: 2
    }
    await eventually("the controllers have made all pods", async () => {
      const pods: ReadonlyArray<{ metadata: { labels: Record<string, string> } }> = await items(
        `/api/v1/namespaces/${namespace}/pods`
      )
      const counts = Object.keys(expected).map((program) => [
        program,
        pods.filter(({ metadata }) => metadata.labels["app.kubernetes.io/component"] === program).length
      ])
      return JSON.stringify(Object.fromEntries(counts)) === JSON.stringify(expected)
    })
    const { metadata } = (await cluster.request("admin", `/api/v1/namespaces/${namespace}`)).json()
    assert.strictEqual(metadata.labels["pod-security.kubernetes.io/enforce"], "restricted")
    const claims: ReadonlyArray<{ metadata: { name: string } }> = await items(
      `/api/v1/namespaces/${namespace}/persistentvolumeclaims`
    )
    assert.sameMembers(
      claims.map((claim) => claim.metadata.name),
      ["spool-activity-collector-0", "spool-activity-collector-1"]
    )
  })

  it("a program's account may do what the program does, and nothing that is worth stealing", async () => {
    const records = "activitypolicyrecords.storage.activity.miloapis.com"
    const jobs = "reindexjobrecords.storage.activity.miloapis.com"
    const allowed: Readonly<Record<string, ReadonlyArray<string>>> = {
      collector: [],
      writer: [],
      exporter: ["watch events", "list events.events.k8s.io", "watch namespaces", "create leases.coordination.k8s.io"],
      processor: [`watch ${records}`, "list customresourcedefinitions.apiextensions.k8s.io"],
      controller: [
        `watch ${records}`,
        `update ${records}/status`,
        `watch ${jobs}`,
        `update ${jobs}/status`,
        `delete ${jobs}`,
        "list customresourcedefinitions.apiextensions.k8s.io",
        "create leases.coordination.k8s.io"
      ],
      apiserver: [
        `create ${records}`,
        `patch ${records}`,
        `update ${records}/status`,
        `delete ${records}`,
        `create ${jobs}`,
        `patch ${jobs}`,
        `update ${jobs}/status`,
        `delete ${jobs}`,
        "create tokenreviews.authentication.k8s.io",
        "create subjectaccessreviews.authorization.k8s.io"
      ],
      migrate: [
        "create customresourcedefinitions.apiextensions.k8s.io",
        `patch customresourcedefinitions.apiextensions.k8s.io ${records}`,
        `patch customresourcedefinitions.apiextensions.k8s.io ${jobs}`
      ]
    }
    const everything = [...new Set(Object.values(allowed).flat())]
    const tempting = [
      "get secrets",
      "list pods",
      "create pods/exec",
      "create clusterrolebindings.rbac.authorization.k8s.io"
    ]
    for (const [program, own] of Object.entries(allowed)) {
      for (const question of [...everything, ...tempting]) {
        assert.strictEqual(
          await isAllowed(`system:serviceaccount:${namespace}:activity-${program}`, question),
          own.includes(question) || seenBySeveral(program, question),
          `${program} ${question}`
        )
      }
    }
    const reader = `system:serviceaccount:${namespace}:activity-apiserver`
    assert.isTrue(await isAllowed(reader, "watch configmaps extension-apiserver-authentication", "kube-system"))
    assert.isFalse(await isAllowed(reader, "get configmaps other", "kube-system"))
    for (const program of ["exporter", "controller"]) {
      const holder = `system:serviceaccount:${namespace}:activity-${program}`
      assert.isTrue(await isAllowed(holder, `update leases.coordination.k8s.io activity-${program}`))
      assert.isFalse(await isAllowed(holder, "update leases.coordination.k8s.io other"))
      assert.isFalse(await isAllowed(holder, "create leases.coordination.k8s.io", "kube-system"))
    }
  })

  /** The apiserver, too, reads the records whose status the controller writes, and the kinds that it resolves. */
  const seenBySeveral = (program: string, question: string): boolean =>
    program === "apiserver" &&
    /^((watch|patch) activitypolicyrecords|watch reindexjobrecords|list customresourcedefinitions)/.test(question)

  const isAllowed = async (user: string, question: string, inside = namespace): Promise<boolean> => {
    const [verb, target = "", name] = question.split(" ")
    const [whole = "", subresource] = target.split("/")
    const [resource, ...group] = whole.split(".")
    const answer = await cluster.request("admin", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
      method: "POST",
      body: {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SubjectAccessReview",
        spec: {
          user,
          groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
          resourceAttributes: { verb, group: group.join("."), resource, subresource, name, namespace: inside }
        }
      }
    })
    assert.strictEqual(answer.status, 201, answer.text)
    return answer.json().status.allowed
  }

  it.each(["activitypolicyrecords", "reindexjobrecords"])("the definition of %s is established", async (plural) => {
    const name = `customresourcedefinition/${plural}.storage.activity.miloapis.com`
    await kubectl("wait", "--for=condition=Established", "--timeout=30s", name)
  })

  it("everything but the registration is applied first, then the registration", async () => {
    const component = "app.kubernetes.io/component"
    const applied = (selector: string) =>
      kubectl("apply", "--kustomize", folder("overlays/secrets"), "--selector", selector)
    const first = await applied(`${component}!=registration`)
    for (const name of ["namespace/", "secret/activity-cursor-key ", "deployment.apps/activity-apiserver "])
      assert.isTrue(
        first.some((line) => line.startsWith(name)),
        name
      )
    assert.deepStrictEqual(
      first.filter((line) => line.startsWith("apiservice")),
      []
    )
    assert.deepStrictEqual((await applied(`${component}=registration`)).toSorted(), [
      "apiservice.apiregistration.k8s.io/v1.activity.miloapis.com created",
      "apiservice.apiregistration.k8s.io/v1alpha1.activity.miloapis.com created"
    ])
  })

  it("an installation with its Secrets, and one for trials, are applied whole", async () => {
    await kubectl("apply", "--kustomize", folder("overlays/secrets"))
    const { spec } = (
      await cluster.request("admin", "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.activity.miloapis.com")
    ).json()
    assert.match(Buffer.from(spec.caBundle, "base64").toString(), /^-----BEGIN CERTIFICATE-----/)
    await kubectl("apply", "--kustomize", folder("overlays/dev"))
    await eventually("NATS and ClickHouse have pods", async () => {
      const pods: ReadonlyArray<{ metadata: { name: string } }> = await items(`/api/v1/namespaces/${namespace}/pods`)
      return ["nats-", "clickhouse-"].every((name) => pods.some(({ metadata }) => metadata.name.startsWith(name)))
    })
  })

  it("an upgrade changes the tables before the programs, by a Job that it makes anew", async () => {
    const jobId = async () =>
      (await cluster.request("admin", `/apis/batch/v1/namespaces/${namespace}/jobs/activity-migrate`)).json().metadata
        .uid
    const before = await jobId()
    await kubectl("delete", "job", "activity-migrate", "--namespace", namespace, "--ignore-not-found")
    const migration = ["--selector", "app.kubernetes.io/component=migrate"]
    const applied = await kubectl("apply", "--kustomize", folder("overlays/secrets"), ...migration)
    assert.deepStrictEqual(applied.toSorted(), [
      "clusterrole.rbac.authorization.k8s.io/activity-migrate unchanged",
      "clusterrolebinding.rbac.authorization.k8s.io/activity-migrate unchanged",
      "job.batch/activity-migrate created",
      "serviceaccount/activity-migrate unchanged"
    ])
    assert.notStrictEqual(await jobId(), before)
    await kubectl("apply", "--kustomize", folder("overlays/secrets"))
  })

  it("with cert-manager's and the Prometheus operator's definitions, every component is applied", async () => {
    for (const file of await definitionFiles()) {
      // Larger than the annotation that a plain apply keeps.
      await kubectl("apply", "--server-side", "--filename", file)
    }
    for (const plural of ["certificates.cert-manager.io", "issuers.cert-manager.io"]) {
      await kubectl("wait", "--for=condition=Established", "--timeout=30s", `customresourcedefinition/${plural}`)
    }
    for (const plural of ["servicemonitors", "prometheusrules"]) {
      const name = `customresourcedefinition/${plural}.monitoring.coreos.com`
      await kubectl("wait", "--for=condition=Established", "--timeout=30s", name)
    }
    const options = ["--server-side", "--force-conflicts", "--validate=strict"]
    await kubectl("apply", "--kustomize", folder("overlays/cert-manager"), ...options)
    const { metadata } = (
      await cluster.request("admin", "/apis/apiregistration.k8s.io/v1/apiservices/v1.activity.miloapis.com")
    ).json()
    assert.strictEqual(metadata.annotations["cert-manager.io/inject-ca-from"], `${namespace}/activity-authority`)
    const policies = await items(`/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`)
    assert.lengthOf(policies, 8)
  })

  it("the registration goes before the rest, and takes the API with it", async () => {
    await kubectl("delete", "--kustomize", folder("apiservice"))
    const { items: registered } = (await cluster.request("admin", "/apis/apiregistration.k8s.io/v1/apiservices")).json()
    const groups: ReadonlyArray<string> = registered.map((one: { spec: { group: string } }) => one.spec.group)
    assert.include(groups, "storage.activity.miloapis.com")
    assert.notInclude(groups, "activity.miloapis.com")
  })
})
