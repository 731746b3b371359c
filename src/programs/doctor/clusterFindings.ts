/** The cluster: definitions, registration, and what the programs may do there. */
import { Clock, DateTime, Effect, Option, Stream } from "effect"
import { Kube, type KubeAnswer, type KubeError } from "../../clients/kube/Kube.ts"
import { recordDefinitions } from "../../contracts/recordDefinitions.ts"
import { groupName, versions } from "../../contracts/resources.ts"
import { policyRecords } from "../../domain/policyRecord.ts"
import { kubeFrom } from "../layers.ts"
import type { DoctorSettings } from "./config.ts"
import type { Finding } from "./Finding.ts"
import { recordPolicyFindings } from "./policyFindings.ts"
import { programRights, type Right } from "./programRights.ts"
import { clockFindings } from "./storeFindings.ts"

type ClusterSettings = Pick<DoctorSettings, "accounts" | "kubeconfig" | "policyStore">

/** A cluster keeps policies for us, or only its Events are watched. */
export const clusterFindings = (settings: ClusterSettings): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    // The clock is in every answer; this one needs no rights.
    const clock = yield* skewOf
    const found = [
      ...(settings.policyStore === "kubernetes"
        ? [yield* definitions, ...(yield* Effect.forEach(versions, registration))]
        : []),
      yield* rights(settings)
    ]
    return [...clockFindings("cluster", "--kubeconfig", clock), ...found.flat()]
  }).pipe(
    Effect.catchTag("KubeError", (error) =>
      Effect.succeed([
        finding(`the API server cannot be asked: ${error.message}`, "mend the file that --kubeconfig names")
      ])
    ),
    Effect.provide(kubeFrom(settings, "doctor")),
    Effect.catchTag("StartRefused", ({ sentence }) =>
      Effect.succeed([finding(sentence.replace(/\.$/, ""), "mend the file, or name another")])
    )
  )

const finding = (problem: string, remedy: string): Finding => ({
  severity: "fault",
  part: "cluster",
  problem,
  setting: "--kubeconfig",
  remedy
})

/** Milliseconds; an answer names whole seconds only. */
const skewOf = Effect.gen(function* () {
  const kube = yield* Kube
  const before = yield* Clock.currentTimeMillis
  const answer = yield* kube.send({ method: "GET", path: "/version" })
  const after = yield* Clock.currentTimeMillis
  return Option.match(DateTime.make(answer.header("date")), {
    onNone: () => 0,
    onSome: ({ epochMilliseconds }) =>
      Math.max(0, epochMilliseconds - after) + Math.min(0, epochMilliseconds + 999 - before)
  })
})

/** Undefined when it is not there. */
const objectAt = (path: string) =>
  Kube.use((kube) => kube.call({ method: "GET", path })).pipe(
    Effect.catchIf(
      ({ reason }) => reason._tag === "KubeRefused" && reason.code === 404,
      () => Effect.succeed(undefined)
    )
  )

interface WithConditions {
  readonly spec?: { readonly caBundle?: string; readonly insecureSkipTLSVerify?: boolean }
  readonly status?: {
    readonly conditions?: ReadonlyArray<{ readonly type: string; readonly status: string; readonly message?: string }>
  }
}

const conditionOf = (object: WithConditions, type: string) =>
  (object.status?.conditions ?? []).find((condition) => condition.type === type)

/** What is kept can be kept; and of policies, which are not in force. */
const definitions = Effect.gen(function* () {
  const found: Array<Finding> = []
  for (const { metadata, spec } of recordDefinitions) found.push(...(yield* definition(metadata.name, spec.names.kind)))
  if (found.length > 0) return found
  const kube = yield* Kube
  const records = yield* kube.list(policyRecords.path).pipe(Stream.runCollect)
  // The definition's own schema: metadata, spec and status of a policy.
  return recordPolicyFindings(records.flatMap(({ items }) => items))
})

const definition = (name: string, kind: string): Effect.Effect<ReadonlyArray<Finding>, KubeError, Kube> =>
  Effect.gen(function* () {
    // As apiextensions.k8s.io/v1 says.
    const found = (yield* objectAt(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`)) as
      | WithConditions
      | undefined
    if (found === undefined) {
      return [
        finding(
          `the definition ${name} is missing: no ${kind} can be kept`,
          "run activity migrate --policy-store kubernetes"
        )
      ]
    }
    return conditionOf(found, "Established")?.status === "True"
      ? []
      : [finding(`the definition ${name} is not established`, `see kubectl describe crd ${name}`)]
  })

const registration = (version: string): Effect.Effect<ReadonlyArray<Finding>, KubeError, Kube> =>
  Effect.gen(function* () {
    const name = `${version}.${groupName}`
    // As apiregistration.k8s.io/v1 says.
    const found = (yield* objectAt(`/apis/apiregistration.k8s.io/v1/apiservices/${name}`)) as WithConditions | undefined
    if (found === undefined) {
      return [
        finding(
          `the APIService ${name} is missing: kubectl does not know activities`,
          "kubectl apply -k infra/apiservice"
        )
      ]
    }
    const available = conditionOf(found, "Available")
    if (available?.status !== "True") {
      return [
        finding(
          `the APIService ${name} is not available, and no namespace can be deleted: ${available?.message ?? "nobody looked yet"}`,
          "start an apiserver, or kubectl delete -k infra/apiservice"
        )
      ]
    }
    const kube = yield* Kube
    const answer = yield* kube.send({ method: "GET", path: `/apis/${groupName}/${version}` })
    return answer.status === 200 ? [] : [unanswered(name, answer)]
  })

const unanswered = (name: string, { status }: KubeAnswer): Finding =>
  finding(
    `the APIService ${name} is available, and requests are answered ${status}`,
    status === 503 ? "its caBundle must be who signed the apiserver's certificate" : "see the log of the apiserver"
  )

/** One finding for each program, or for us, with all that may not be done. */
const rights = ({ accounts, policyStore }: ClusterSettings) =>
  Effect.gen(function* () {
    const needed = programRights.filter(({ onlyWithRecords }) => !onlyWithRecords || policyStore === "kubernetes")
    const found: Array<Finding> = []
    for (const { program, rights: wanted } of needed) {
      const denied: Array<string> = []
      for (const right of wanted) {
        if (!(yield* isAllowed(accounts, program, right))) denied.push(textOf(right))
      }
      if (denied.length === 0) continue
      const who =
        accounts === ""
          ? `the user of --kubeconfig, as ${program},`
          : `system:serviceaccount:${accounts}:activity-${program}`
      found.push({
        ...finding(`${who} may not ${denied.join(", ")}`, `bind the roles of infra/base/${program}.yaml`),
        ...(accounts === "" ? {} : { setting: "--accounts" })
      })
    }
    return found
  })

const textOf = ({ group, resource, verb }: Right): string => `${verb} ${resource}${group === "" ? "" : `.${group}`}`

const isAllowed = (accounts: string, program: string, { group, name, namespace, resource, subresource, verb }: Right) =>
  Effect.gen(function* () {
    const kube = yield* Kube
    const kind = accounts === "" ? "SelfSubjectAccessReview" : "SubjectAccessReview"
    const user = `system:serviceaccount:${accounts}:activity-${program}`
    const answer = yield* kube.call({
      method: "POST",
      path: `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`,
      body: {
        apiVersion: "authorization.k8s.io/v1",
        kind,
        spec: {
          ...(accounts === ""
            ? {}
            : {
                user,
                groups: ["system:serviceaccounts", `system:serviceaccounts:${accounts}`, "system:authenticated"]
              }),
          resourceAttributes: {
            verb,
            group,
            resource,
            ...(subresource === undefined ? {} : { subresource }),
            ...(namespace === undefined ? {} : { namespace: namespace === "" ? accounts : namespace }),
            ...(name === undefined ? {} : { name })
          }
        }
      }
    })
    // As authorization.k8s.io/v1 says.
    return (answer as { readonly status?: { readonly allowed?: boolean } }).status?.allowed === true
  })
