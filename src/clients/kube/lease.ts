/**
 * One of several replicas at a time: a Lease of coordination.k8s.io.
 *
 * @source https://kubernetes.io/docs/concepts/architecture/leases/
 */
import { DateTime, Effect } from "effect"
import { type Lease, leaseKeptIn, type LeaseOptions, type LeaseRecord } from "../Lease.ts"
import { Kube, type KubeError } from "./Kube.ts"
import { isStatus } from "./kubeFailures.ts"

export interface KubeLeaseOptions extends LeaseOptions {
  readonly namespace: string
}

export const makeLease = (options: KubeLeaseOptions): Effect.Effect<Lease, never, Kube> =>
  Effect.gen(function* () {
    const kube = yield* Kube
    const path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`
    const stamp = Effect.map(DateTime.now, (time) => `${DateTime.formatIso(time).slice(0, 23)}000Z`)

    const write = (found: KubeLease | undefined, heldBy: string) =>
      Effect.gen(function* () {
        const time = yield* stamp
        const renewed = found?.holder === heldBy
        const { metadata, spec } = found?.object ?? {}
        const body = {
          apiVersion: "coordination.k8s.io/v1",
          kind: "Lease",
          metadata: { ...metadata, name: options.name, namespace: options.namespace },
          spec: {
            holderIdentity: heldBy,
            leaseDurationSeconds: Math.ceil(options.durationMillis / 1_000),
            acquireTime: renewed ? (spec?.acquireTime ?? time) : time,
            renewTime: time,
            leaseTransitions: (spec?.leaseTransitions ?? 0) + (renewed || heldBy === "" ? 0 : 1)
          }
        }
        const answer = yield* found === undefined
          ? kube.call({ method: "POST", path, body })
          : kube.call({ method: "PUT", path: `${path}/${options.name}`, body })
        // The server answers what it has stored, in the form of what was sent.
        return leaseFrom(answer as LeaseObject, options.durationMillis)
      })

    const read = kube.call({ method: "GET", path: `${path}/${options.name}` }).pipe(
      // A Lease by its path; fields that are missing are undefined.
      Effect.map((answer): KubeLease | undefined => leaseFrom(answer as LeaseObject, options.durationMillis)),
      Effect.catchIf(
        (error) => isStatus(error, 404),
        () => Effect.succeed(undefined)
      )
    )
    return yield* leaseKeptIn({ read, write, raced: (error: KubeError) => isStatus(error, 404, 409) }, options)
  })

interface KubeLease extends LeaseRecord {
  readonly object: LeaseObject
}

const leaseFrom = (object: LeaseObject, durationMillis: number): KubeLease => ({
  holder: object.spec?.holderIdentity ?? "",
  version: object.metadata?.resourceVersion ?? "",
  durationMillis:
    object.spec?.leaseDurationSeconds === undefined ? durationMillis : object.spec.leaseDurationSeconds * 1_000,
  object
})

interface LeaseObject {
  readonly metadata?: { readonly resourceVersion?: string }
  readonly spec?: {
    readonly holderIdentity?: string
    readonly leaseDurationSeconds?: number
    readonly acquireTime?: string
    readonly leaseTransitions?: number
  }
}
