/** What infra's manifests say to the programs is what the programs understand, and every name in them exists. */
import { ConfigProvider, Console, Effect, Layer } from "effect"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Command from "effect/cli/Command"
import type * as Flag from "effect/cli/Flag"
import { execFile, spawnSync } from "node:child_process"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { parse, parseAllDocuments, stringify } from "yaml"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { natsServerVersion } from "../../src/clients/nats/fetchNatsServer.ts"
import { apiServerSettings } from "../../src/programs/apiserver/config.ts"
import { collectorSettings } from "../../src/programs/collector/config.ts"
import { controllerSettings } from "../../src/programs/controller/config.ts"
import { exporterSettings } from "../../src/programs/exporter/config.ts"
import { migrateSettings } from "../../src/programs/migrate/config.ts"
import { processorSettings } from "../../src/programs/processor/config.ts"
import { writerSettings } from "../../src/programs/writer/config.ts"
import { declaredNames } from "../../src/runtime/settings.ts"
import { type TemporaryFolder, temporaryFolder } from "../support/temporaryFolder.ts"
import { type Manifest, programPods, rendered } from "./rendered.ts"
import { infraWithFiles } from "./secretFiles.ts"

const execute = promisify(execFile)

const hasOpenSsl = spawnSync("openssl", ["version"]).status === 0

type Flags = Readonly<Record<string, Flag.Flag<unknown>>>

const settingsOf: Readonly<Record<string, Flags>> = {
  apiserver: apiServerSettings,
  collector: collectorSettings,
  controller: controllerSettings,
  exporter: exporterSettings,
  migrate: migrateSettings,
  processor: processorSettings,
  writer: writerSettings
}

/** The settings that a program has with these arguments and this environment; rejects when it would refuse them. */
const understood = async (
  [program = "", ...flags]: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>>
): Promise<Readonly<Record<string, unknown>>> => {
  let settings: Readonly<Record<string, unknown>> | undefined
  const command = Command.make(program, settingsOf[program] ?? {}, (given) =>
    Effect.sync(() => {
      settings = given
    })
  )
  const quiet: Console.Console = { ...globalThis.console, log: () => undefined, error: () => undefined }
  await Command.runWith(command, { version: "0.0.0" })(flags).pipe(
    Effect.catchTag("ShowHelp", ({ errors }) =>
      Effect.die(new Error(`${program}: ${errors.map(({ message }) => message).join(", ")}`))
    ),
    Effect.provideService(Console.Console, quiet),
    Effect.provide(Layer.mergeAll(NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromUnknown(environment)))),
    Effect.runPromise
  )
  if (settings === undefined) throw new Error(`${program} was not run with ${flags.join(" ")}`)
  return settings
}

/** The YAML blocks of a guide. */
const blocksOf = (guide: string): ReadonlyArray<string> =>
  [...guide.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, block = ""]) => block)

describe("infra", () => {
  let copy: TemporaryFolder
  let installed: ReadonlyArray<Manifest>
  beforeAll(async () => {
    copy = await infraWithFiles()
    installed = await rendered(join(copy.path, "infra/overlays/secrets"))
  })
  afterAll(() => copy.remove())

  const named = (kind: string, name: string): Manifest => {
    const found = installed.find((one) => one.kind === kind && one.metadata.name === name)
    if (found === undefined) throw new Error(`there is no ${kind} ${name}`)
    return found
  }
  const environmentOf = (container: ReturnType<typeof programPods>[number]["container"]) => {
    const given: Record<string, string> = {}
    for (const { configMapRef } of container.envFrom ?? []) {
      Object.assign(given, named("ConfigMap", configMapRef.name).data)
    }
    for (const { name, value, valueFrom } of container.env ?? []) {
      const secret = valueFrom === undefined ? undefined : named("Secret", valueFrom.secretKeyRef.name).data
      given[name] = value ?? Buffer.from(secret?.[valueFrom?.secretKeyRef.key ?? ""] ?? "", "base64").toString()
    }
    return given
  }

  it("runs each program that the image holds", () => {
    assert.deepStrictEqual(
      programPods(installed)
        .map(({ container }) => container.args[0])
        .toSorted(),
      ["apiserver", "collector", "controller", "exporter", "migrate", "processor", "writer"]
    )
  })

  it("gives each program flags and an environment that it takes, and files and ports that its pod has", async () => {
    for (const { container, owner, pod } of programPods(installed)) {
      const program = container.args[0]!
      const settings = await understood(container.args, environmentOf(container))
      assert.strictEqual(owner.metadata.name, `activity-${program}`)

      const files = Object.values(settings).filter(
        (value): value is string => typeof value === "string" && value.startsWith("/")
      )
      for (const file of files) {
        const mount = container.volumeMounts?.find(({ mountPath }) => file.startsWith(`${mountPath}/`))
        assert.isDefined(mount, `${program} reads ${file}`)
        const secret = pod.volumes?.find(({ name }) => name === mount?.name)?.secret?.secretName
        if (secret === undefined) continue
        assert.property(named("Secret", secret).data, file.slice(`${mount?.mountPath}/`.length), file)
      }

      const listened = Object.values(settings).flatMap((value) =>
        typeof value === "object" && value !== null && "host" in value && "port" in value ? [value] : []
      )
      if (owner.kind === "Job") continue
      for (const { host } of listened) assert.strictEqual(host, "::", program)
      assert.sameMembers(
        listened.map(({ port }) => Number(port)),
        (container.ports ?? []).map(({ containerPort }) => containerPort),
        program
      )
    }
  })

  it("refuses a flag that a program does not have", async () => {
    const refusal = (...flags: ReadonlyArray<string>) =>
      understood(["writer", ...flags], {}).then(
        () => "",
        (error: unknown) => String(error)
      )
    assert.strictEqual(await refusal("--ops-listen=:8080"), "")
    assert.include(await refusal("--spool=/spool"), "--spool")
    assert.include(await refusal("--ops-listen=8080"), "ops-listen")
  })

  it("shares only what is a setting of some program", () => {
    const shared = installed.find(
      ({ kind, metadata }) => kind === "ConfigMap" && metadata.name.startsWith("activity-settings")
    )
    assert.isNotEmpty(shared?.data)
    assert.deepStrictEqual(
      Object.keys(shared?.data ?? {}).filter((name) => !declaredNames.has(name)),
      []
    )
  })

  it("gives the shared settings a name that changes with them, and has every program that stays follow it", async () => {
    for (const overlay of ["secrets", "cert-manager"]) {
      const own = join(copy.path, `infra/overlays/own-${overlay}`)
      await cp(join(copy.path, "infra/overlays", overlay), own, { recursive: true })
      const copied = parse(await readFile(join(own, "kustomization.yaml"), "utf8"))
      const written = async (cluster: string): Promise<string> => {
        await writeFile(
          join(own, "kustomization.yaml"),
          stringify({
            ...copied,
            configMapGenerator: [
              {
                name: "activity-settings",
                namespace: "activity-system",
                behavior: "merge",
                literals: [`ACTIVITY_CLUSTER=${cluster}`]
              }
            ]
          })
        )
        const manifests = await rendered(own)
        const settings = manifests.filter(
          ({ kind, metadata }) => kind === "ConfigMap" && metadata.name.startsWith("activity-settings")
        )
        assert.deepStrictEqual(
          settings.map(({ data }) => data?.["ACTIVITY_CLUSTER"]),
          [cluster],
          overlay
        )
        const name = settings[0]?.metadata.name ?? ""
        for (const { container, owner } of programPods(manifests)) {
          assert.deepStrictEqual(
            container.envFrom,
            owner.kind === "Job" ? undefined : [{ configMapRef: { name } }],
            owner.metadata.name
          )
        }
        return name
      }
      const east = await written("east")
      assert.match(east, /^activity-settings-[a-z0-9]{10}$/, overlay)
      assert.notStrictEqual(await written("west"), east, overlay)
    }
    const plain = installed.filter(({ kind }) => kind === "ConfigMap").map(({ metadata }) => metadata.name)
    for (const name of plain) assert.match(name, /^activity-settings-[a-z0-9]{10}$/)
  })

  it("keeps the names of Secrets, which programs read again when they change", () => {
    assert.sameMembers(
      installed.filter(({ kind }) => kind === "Secret").map(({ metadata }) => metadata.name),
      [
        "activity-apiserver-tls",
        "activity-audit-tokens",
        "activity-clickhouse",
        "activity-collector-tls",
        "activity-cursor-key"
      ]
    )
  })

  it("takes the retention of the guide as the Job's arguments", async () => {
    const [block = ""] = blocksOf(await readFile(join(projectFolder, "infra/README.md"), "utf8")).filter((one) =>
      one.includes("--audit-retention")
    )
    const folder = join(copy.path, "infra/overlays/retention")
    await mkdir(folder)
    const own = { apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization", resources: ["../secrets"] }
    await writeFile(join(folder, "kustomization.yaml"), stringify({ ...own, ...parse(block) }))
    const job = programPods(await rendered(folder)).find(({ owner }) => owner.kind === "Job")
    assert.isDefined(job)
    const { activityRetention, auditRetention, policyStore } = await understood(job.container.args, {})
    const day = 86_400_000
    assert.deepStrictEqual([auditRetention, activityRetention, policyStore], [365 * day, 60 * day, "kubernetes"])
  })

  it("chooses the registration alone by a label", () => {
    assert.deepStrictEqual(
      installed
        .filter(({ metadata }) => metadata.labels?.["app.kubernetes.io/component"] === "registration")
        .map(({ kind, metadata }) => `${kind} ${metadata.name}`)
        .toSorted(),
      ["APIService v1.activity.miloapis.com", "APIService v1alpha1.activity.miloapis.com"]
    )
  })

  it("fixes for kind the collector's address that the guide prints, and no other", async () => {
    const services = (await rendered(join(copy.path, "infra/overlays/kind"))).filter(
      ({ kind, spec }) => kind === "Service" && spec.clusterIP !== undefined && spec.clusterIP !== "None"
    )
    assert.deepStrictEqual(
      services.map(({ metadata }) => metadata.name),
      ["activity-collector"]
    )
    const address = `--collector https://${services[0]?.spec.clusterIP}/audit `
    assert.include(await readFile(join(projectFolder, "infra/README.md"), "utf8"), address)
  })

  it("registers a process beside the cluster as it registers the pods, but for host, port and authority", async () => {
    const guide = await readFile(join(projectFolder, "src/programs/apiserver/README.md"), "utf8")
    const [block = ""] = blocksOf(guide).filter((one) => one.includes("ExternalName"))
    const [service, ...registrations] = parseAllDocuments(block).map((document) => document.toJS())
    assert.deepStrictEqual(service.spec, { type: "ExternalName", externalName: "activity.example.com" })
    const port = Number(/npx activity apiserver --auth kubernetes --api-listen :(\d+)/.exec(guide)?.[1])
    assert.deepStrictEqual(
      registrations.map(({ metadata, spec }) => [metadata.name, spec]),
      installed
        .filter(({ kind }) => kind === "APIService")
        .toSorted((one, other) => other.spec.versionPriority - one.spec.versionPriority)
        .map(({ metadata, spec }) => [
          metadata.name,
          { ...spec, caBundle: "BASE64_OF_CA_CRT", service: { ...spec.service, port } }
        ])
    )
    assert.strictEqual(service.metadata.name, registrations[0].spec.service.name)
    assert.strictEqual(service.metadata.namespace, registrations[0].spec.service.namespace)
  })

  it("reads the audit log in the guide's DaemonSet by arguments that the collector takes, from folders that it has", async () => {
    const [block = ""] = blocksOf(
      await readFile(join(projectFolder, "src/programs/collector/README.md"), "utf8")
    ).filter((one) => one.includes("DaemonSet"))
    const [namespace, daemonSet] = parseAllDocuments(block).map((document) => document.toJS())
    assert.strictEqual(daemonSet.metadata.namespace, namespace.metadata.name)
    const { containers, volumes } = daemonSet.spec.template.spec
    const [{ args, volumeMounts }] = containers
    const settings = await understood(args, {})
    for (const name of ["file", "spoolFolder"]) {
      const mount = volumeMounts.find(({ mountPath }: { readonly mountPath: string }) =>
        String(settings[name]).startsWith(`${mountPath}/`)
      )
      const volume = volumes.find((one: { readonly name: string }) => one.name === mount?.name)
      assert.strictEqual(volume?.hostPath.path, mount?.mountPath, name)
    }
  })

  it("runs no program as root, with a right to gain, or with a file system to write to", () => {
    for (const { container, owner, pod } of programPods(installed)) {
      assert.deepInclude(pod.securityContext ?? {}, {
        runAsNonRoot: true,
        runAsUser: 65532,
        seccompProfile: { type: "RuntimeDefault" }
      })
      assert.deepStrictEqual(
        container.securityContext,
        {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] }
        },
        owner.metadata.name
      )
      assert.hasAllKeys(container.resources ?? {}, ["requests", "limits"], owner.metadata.name)
    }
  })

  it("asks each program that stays for its probes, keeps two of it, and lets one go at a time", () => {
    for (const { container, owner } of programPods(installed)) {
      if (owner.kind === "Job") continue
      const probes = Object.entries(container).filter(([name]) => name.endsWith("Probe"))
      assert.deepStrictEqual(
        probes.map(([name, probe]) => [name, probe.httpGet]).toSorted(),
        [
          ["livenessProbe", { path: "/livez", port: "ops" }],
          ["readinessProbe", { path: "/readyz", port: "ops" }],
          ["startupProbe", { path: "/livez", port: "ops" }]
        ],
        owner.metadata.name
      )
      assert.strictEqual(owner.spec.replicas, 2, owner.metadata.name)
      assert.deepStrictEqual(
        named("PodDisruptionBudget", owner.metadata.name).spec.selector,
        owner.spec.selector,
        owner.metadata.name
      )
    }
  })

  it("points every Service, budget and network policy at pods, and at ports that they have", async () => {
    const all = await rendered("infra/overlays/cert-manager")
    const pods = all.flatMap(({ metadata, spec }) =>
      spec?.template?.metadata === undefined ? [] : [{ name: metadata.name, ...spec.template }]
    )
    const chosen = (labels: Readonly<Record<string, string>>) =>
      pods.filter((pod) => Object.entries(labels).every(([name, value]) => pod.metadata.labels[name] === value))
    for (const { kind, metadata, spec } of all) {
      const selector =
        kind === "Service" ? spec.selector : (spec?.selector?.matchLabels ?? spec?.podSelector?.matchLabels)
      if (selector === undefined) continue
      if (kind === "ServiceMonitor") {
        const scraped = all.filter(
          (one) =>
            one.kind === "Service" &&
            Object.entries(selector).every(([name, value]) => one.metadata.labels?.[name] === value)
        )
        assert.deepStrictEqual(
          scraped.map((one) => [one.metadata.name, one.spec.ports[0].name]),
          [["activity-operations", spec.endpoints[0].port]]
        )
        continue
      }
      assert.isNotEmpty(chosen(selector), `${kind} ${metadata.name}`)
      if (kind !== "Service") continue
      for (const { targetPort } of spec.ports) {
        const ports = chosen(selector).flatMap((pod) =>
          pod.spec.containers.flatMap((container: { ports?: ReadonlyArray<{ name: string }> }) => container.ports ?? [])
        )
        assert.isTrue(
          ports.some(({ name }) => name === targetPort),
          `${metadata.name} ${targetPort}`
        )
      }
    }
  })

  it("has kube-apiserver believe the authority of the Secret, and asks for both versions, v1alpha1 first", () => {
    const secret = installed.find(({ kind, metadata }) => kind === "Secret" && /apiserver-tls/.test(metadata.name))
    const authority = Buffer.from(secret?.data?.["ca.crt"] ?? "", "base64").toString()
    assert.match(authority, /^-----BEGIN CERTIFICATE-----/)
    const registered = installed.filter(({ kind }) => kind === "APIService").map(({ spec }) => spec)
    for (const spec of registered) {
      assert.strictEqual(Buffer.from(spec.caBundle, "base64").toString(), authority)
      assert.isUndefined(spec.insecureSkipTLSVerify)
      const service = named("Service", spec.service.name)
      assert.strictEqual(service.metadata.namespace, spec.service.namespace)
      assert.isTrue(service.spec.ports.some(({ port }: { readonly port: number }) => port === spec.service.port))
    }
    assert.deepStrictEqual(
      registered.toSorted((one, other) => other.versionPriority - one.versionPriority).map(({ version }) => version),
      ["v1alpha1", "v1"]
    )
  })

  it("refers to no file, Secret, ConfigMap, account or role that is not there", async () => {
    const system = new Set(["system:auth-delegator", "extension-apiserver-authentication-reader"])
    const there = new Set(installed.map(({ kind, metadata }) => `${kind} ${metadata.name}`))
    for (const { pod, owner } of programPods(installed)) {
      assert.isTrue(there.has(`ServiceAccount ${pod.serviceAccountName}`), owner.metadata.name)
      for (const { configMap, secret } of pod.volumes ?? []) {
        if (secret !== undefined) assert.isTrue(there.has(`Secret ${secret.secretName}`), secret.secretName)
        if (configMap !== undefined) assert.isTrue(there.has(`ConfigMap ${configMap.name}`), configMap.name)
      }
    }
    for (const one of installed.filter(({ kind }) => kind.endsWith("RoleBinding"))) {
      // Bindings have no spec: their fields are at the top.
      const { roleRef, subjects } = one as unknown as {
        readonly roleRef: { readonly kind: string; readonly name: string }
        readonly subjects: ReadonlyArray<{ readonly kind: string; readonly name: string; readonly namespace: string }>
      }
      assert.isTrue(system.has(roleRef.name) || there.has(`${roleRef.kind} ${roleRef.name}`), roleRef.name)
      for (const { kind, name, namespace } of subjects) {
        assert.isTrue(there.has(`${kind} ${name}`), name)
        assert.strictEqual(namespace, "activity-system")
      }
    }
  })

  it("tells the programs that use them of NATS's and ClickHouse's authorities and credentials", async () => {
    const folder = join(copy.path, "infra/overlays/connections")
    await mkdir(folder)
    await writeFile(
      join(folder, "kustomization.yaml"),
      stringify({
        apiVersion: "kustomize.config.k8s.io/v1beta1",
        kind: "Kustomization",
        resources: ["../secrets"],
        components: ["nats-tls", "nats-credentials", "clickhouse-ca"].map((name) => `../../components/${name}`)
      })
    )
    for (const { container, pod } of programPods(await rendered(folder))) {
      const program = container.args[0]!
      const settings = await understood(container.args, environmentOf(container))
      const paths = ["natsCa", "natsCertificate", "natsKey", "natsCredentials", "clickHouseCa"].map(
        (name) => settings[name]
      )
      const ofNats = ["/nats-tls/ca.crt", "/nats-tls/tls.crt", "/nats-tls/tls.key", "/nats-credentials/nats.creds"]
      const stores = ["apiserver", "controller", "migrate", "writer"].includes(program)
      assert.deepStrictEqual(
        paths,
        [
          ...(program === "migrate" ? ofNats.map(() => undefined) : ofNats),
          stores ? "/clickhouse-ca/ca.crt" : undefined
        ],
        program
      )
      for (const path of paths.filter((one) => typeof one === "string")) {
        const mount = container.volumeMounts?.find(({ mountPath }) => path.startsWith(`${mountPath}/`))
        assert.isTrue(
          pod.volumes?.some(({ name, secret }) => name === mount?.name && secret !== undefined),
          path
        )
      }
    }
  })

  it("puts a trial's NATS of the tested version beside the programs, where they look for it", async () => {
    const trial = await rendered(join(copy.path, "infra/overlays/dev"))
    const services = new Set(trial.filter(({ kind }) => kind === "Service").map(({ metadata }) => metadata.name))
    const nats = trial.find(({ kind, metadata }) => kind === "Deployment" && metadata.name === "nats")
    assert.strictEqual(nats?.spec.template.spec.containers[0].image, `nats:${natsServerVersion}`)
    const settings = trial.find(
      ({ kind, metadata }) => kind === "ConfigMap" && metadata.name.startsWith("activity-settings")
    )
    assert.isTrue(services.has(new URL(settings?.data?.["NATS_URL"] ?? "").hostname))
    assert.isTrue(services.has("clickhouse"))
  })

  it.skipIf(!hasOpenSsl)("make-files.sh makes what the overlay reads, once", async () => {
    await using made = await temporaryFolder("files")
    const script = join(made.path, "infra/overlays/secrets/make-files.sh")
    await cp(join(projectFolder, "infra"), join(made.path, "infra"), {
      recursive: true,
      filter: (path) => !path.endsWith("/secrets/files")
    })
    await execute(script, ["http://user:password@store:8123/activity"])
    const files = join(made.path, "infra/overlays/secrets/files")
    const textOf = (name: string) => readFile(join(files, name), "utf8")
    const authority = new X509Certificate(await textOf("ca.crt"))
    for (const server of ["apiserver", "collector"]) {
      const certificate = new X509Certificate(await textOf(`${server}.crt`))
      assert.isTrue(certificate.verify(authority.publicKey), server)
      assert.isTrue(certificate.checkPrivateKey(createPrivateKey(await textOf(`${server}.key`))), server)
      const name = `activity-${server}.activity-system.svc`
      assert.strictEqual(certificate.checkHost(name), name)
    }
    assert.strictEqual(await textOf("clickhouse.env"), "CLICKHOUSE_URL=http://user:password@store:8123/activity\n")
    assert.isAtLeast((await textOf("cursor.key")).length, 16)
    const senders = parse(await textOf("audit-tokens.yaml"))
    assert.match(senders[0].token, /^[0-9a-f]{64}$/)
    // Of no cluster in particular: it is the collector's, which the overlay names.
    assert.deepStrictEqual(senders, [{ token: senders[0].token }])
    assert.isNotEmpty(await rendered(join(made.path, "infra/overlays/secrets")))

    const before = await Promise.all((await readdir(files)).map(textOf))
    await execute(script)
    assert.deepStrictEqual(await Promise.all((await readdir(files)).map(textOf)), before)
  })

  it("says nowhere that a password or key is part of it", async () => {
    for (const path of (await readdir(join(projectFolder, "infra"), { recursive: true })).filter((path) =>
      path.endsWith(".yaml")
    )) {
      if (path.includes("/files/")) continue
      for (const document of parseAllDocuments(await readFile(join(projectFolder, "infra", path), "utf8"))) {
        assert.deepStrictEqual(document.errors, [], path)
        assert.notStrictEqual(document.get("kind"), "Secret", path)
      }
    }
  })
})
