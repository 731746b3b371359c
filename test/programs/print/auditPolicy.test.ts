import { assert, describe, it } from "@effect/vitest"
import { parse, parseAllDocuments } from "yaml"
import {
  apiServerFlags,
  auditPolicy,
  type FlagsOptions,
  webhookKubeconfig
} from "../../../src/programs/print/auditPolicy.ts"
import { resources } from "../../../src/contracts/resources.ts"
import { startProgram } from "../../support/childProcess.ts"

const collector = "https://collector.example.com:18444/audit/east"

/** The YAML documents of what is printed, none with an error or a warning. */
const documents = (options: FlagsOptions) => documentsIn(apiServerFlags(options))

const documentsIn = (text: string) =>
  parseAllDocuments(text).map((document) => {
    assert.deepStrictEqual([...document.errors, ...document.warnings], [])
    return document.toJS()
  })

const webhookFlags = {
  "audit-policy-file": "/etc/kubernetes/audit/policy.yaml",
  "audit-webhook-config-file": "/etc/kubernetes/audit/webhook.kubeconfig",
  "audit-webhook-batch-max-wait": "1s",
  "audit-webhook-truncate-enabled": "true",
  "audit-webhook-truncate-max-event-size": "1000000",
  "audit-webhook-truncate-max-batch-size": "10000000"
}

const fileFlags = {
  "audit-policy-file": "/etc/kubernetes/audit/policy.yaml",
  "audit-log-path": "/var/log/kubernetes/audit/audit.log",
  "audit-log-maxsize": "100",
  "audit-log-maxbackup": "20"
}

const volume = (name: string, folder: string, readOnly: boolean) => ({
  name,
  hostPath: folder,
  mountPath: folder,
  readOnly,
  pathType: "DirectoryOrCreate"
})
const fileVolume = volume("audit-files", "/etc/kubernetes/audit", true)
const logVolume = volume("audit-logs", "/var/log/kubernetes/audit", false)

/** `a=b` of each, as one object. */
const flagsIn = (flags: ReadonlyArray<string>) => Object.fromEntries(flags.map((flag) => flag.split("=", 2)))

describe("the printed audit policy", () => {
  it("records who touched Secrets and tokens, never what they hold, and all that changes something", () => {
    const { apiVersion, kind, omitStages, rules } = parse(auditPolicy)
    assert.deepStrictEqual(
      { apiVersion, kind, omitStages },
      {
        apiVersion: "audit.k8s.io/v1",
        kind: "Policy",
        omitStages: ["RequestReceived", "ResponseStarted"]
      }
    )
    const metadata = rules.findIndex(
      ({ resources }: { resources?: ReadonlyArray<{ resources?: ReadonlyArray<string> }> }) =>
        resources?.some((one) => one.resources?.includes("secrets"))
    )
    assert.strictEqual(rules[metadata].level, "Metadata")
    assert.include(rules[metadata].resources[0].resources, "serviceaccounts/token")
    assert.deepStrictEqual(rules.at(-1), { level: "RequestResponse" })
    assert.isTrue(rules.slice(0, metadata).every(({ level }: { level: string }) => level !== "RequestResponse"))
  })

  it("records who read what happened, before it leaves other reads out", () => {
    const { rules } = parse(auditPolicy)
    const otherReads = rules.findIndex(
      ({ level, resources, verbs }: { level: string; resources?: unknown; verbs?: ReadonlyArray<string> }) =>
        level === "None" && resources === undefined && verbs?.includes("list")
    )
    const recorded = rules
      .slice(0, otherReads)
      .filter(({ level }: { level: string }) => level !== "None")
      .flatMap(({ resources }: { resources: ReadonlyArray<{ group: string; resources: ReadonlyArray<string> }> }) =>
        resources.filter(({ group }) => group === "activity.miloapis.com").flatMap((one) => one.resources)
      )
    const facts = resources.filter(({ plural }) => !["activitypolicies", "deadletters", "reindexjobs"].includes(plural))
    assert.deepStrictEqual(
      facts.map(({ plural }) => plural).filter((plural) => !recorded.includes(plural)),
      []
    )
  })

  it("is what the program prints to standard output, and nothing else", async () => {
    const program = startProgram(["print", "audit-policy"])
    assert.deepStrictEqual(await program.exited, { code: 0, signal: undefined })
    assert.strictEqual(program.stdout(), auditPolicy)
    assert.strictEqual(program.log(), auditPolicy)
    const flags = startProgram(["print", "audit-policy", "--flags", "k3s"])
    await flags.exited
    assert.strictEqual(flags.stdout(), apiServerFlags({ installer: "k3s", by: "webhook" }))
  })
})

describe("the printed flags", () => {
  it("of kubeadm are a ClusterConfiguration v1beta4: a list of arguments, and the volumes", () => {
    const [configuration] = documents({ installer: "kubeadm", by: "webhook" })
    assert.deepStrictEqual(configuration, {
      apiVersion: "kubeadm.k8s.io/v1beta4",
      kind: "ClusterConfiguration",
      apiServer: {
        extraArgs: Object.entries(webhookFlags).map(([name, value]) => ({ name, value })),
        extraVolumes: [fileVolume]
      }
    })
  })

  it("of kind are a Cluster whose patch is a ClusterConfiguration: a map of arguments", () => {
    const [cluster] = documents({ installer: "kind", by: "file" })
    assert.strictEqual(cluster.apiVersion, "kind.x-k8s.io/v1alpha4")
    assert.strictEqual(cluster.kind, "Cluster")
    const [node] = cluster.nodes
    assert.strictEqual(node.role, "control-plane")
    assert.deepStrictEqual(node.extraMounts, [
      { hostPath: "./audit", containerPath: "/etc/kubernetes/audit", readOnly: true },
      { hostPath: "./audit-logs", containerPath: "/var/log/kubernetes/audit", readOnly: false }
    ])
    assert.lengthOf(node.kubeadmConfigPatches, 1)
    assert.deepStrictEqual(parse(node.kubeadmConfigPatches[0]), {
      kind: "ClusterConfiguration",
      apiServer: { extraArgs: fileFlags, extraVolumes: [fileVolume, logVolume] }
    })
  })

  it("of k3s are its configuration file, in its own folders", () => {
    const [configuration] = documents({ installer: "k3s", by: "file" })
    assert.deepStrictEqual(Object.keys(configuration), ["kube-apiserver-arg"])
    assert.deepStrictEqual(flagsIn(configuration["kube-apiserver-arg"]), {
      ...fileFlags,
      "audit-policy-file": "/var/lib/rancher/k3s/server/audit/policy.yaml",
      "audit-log-path": "/var/lib/rancher/k3s/server/logs/audit.log"
    })
  })

  it("by themselves are a list of arguments", () => {
    const [webhook] = documents({ installer: "plain", by: "webhook" })
    assert.deepStrictEqual(
      flagsIn(webhook),
      Object.fromEntries(Object.entries(webhookFlags).map(([name, value]) => [`--${name}`, value]))
    )
    assert.lengthOf(documents({ installer: "plain", by: "file" }), 1)
  })

  it("are one document, which needs no cutting", () => {
    for (const installer of ["plain", "kubeadm", "kind", "k3s"] as const) {
      for (const by of ["webhook", "file"] as const) assert.lengthOf(documents({ installer, by }), 1, installer)
    }
  })
})

describe("the printed kubeconfig of the webhook", () => {
  const kubeconfig = (cluster: object) => ({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "collector", cluster: { server: collector, ...cluster, "certificate-authority": "ca.crt" } }],
    users: [{ name: "kube-apiserver", user: { token: "TOKEN" } }],
    contexts: [{ name: "collector", context: { cluster: "collector", user: "kube-apiserver" } }],
    "current-context": "collector"
  })
  const printed = async (...flags: ReadonlyArray<string>) => {
    const program = startProgram(["print", "webhook-kubeconfig", ...flags])
    const { code } = await program.exited
    return { code, text: program.stdout(), log: program.log() }
  }

  it("names the collector, the authority beside it, and a token to be replaced", async () => {
    const { code, text } = await printed("--collector", collector)
    assert.strictEqual(code, 0)
    assert.strictEqual(text, webhookKubeconfig({ collector: new URL(collector), serverName: "" }))
    assert.deepStrictEqual(documentsIn(text), [kubeconfig({})])
  })

  it("names what the certificate has, where the URL has an address", () => {
    const serverName = "activity-collector.activity-system.svc"
    assert.deepStrictEqual(documentsIn(webhookKubeconfig({ collector: new URL(collector), serverName })), [
      kubeconfig({ "tls-server-name": serverName })
    ])
  })

  it("is not made for what kube-apiserver could not reach", async () => {
    for (const wrong of ["http://collector/audit", "collector:18444", "https:///", "tru\ne"]) {
      const { code, log, text } = await printed("--collector", wrong)
      assert.deepStrictEqual([code, text], [2, ""], wrong)
      assert.include(log, "https://collector.example.com:18444/audit")
    }
  })
})
