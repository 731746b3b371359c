/** What `kubectl kustomize` makes of a folder of infra. */
import { execFile } from "node:child_process"
import { resolve } from "node:path"
import { promisify } from "node:util"
import { parseAllDocuments } from "yaml"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { findGoProgram } from "../support/goPrograms.ts"

export interface Container {
  readonly name: string
  readonly image: string
  readonly args: ReadonlyArray<string>
  readonly command?: ReadonlyArray<string>
  readonly env?: ReadonlyArray<{
    readonly name: string
    readonly value?: string
    readonly valueFrom?: { readonly secretKeyRef: { readonly name: string; readonly key: string } }
  }>
  readonly envFrom?: ReadonlyArray<{ readonly configMapRef: { readonly name: string } }>
  readonly ports?: ReadonlyArray<{ readonly name: string; readonly containerPort: number }>
  readonly resources?: object
  readonly securityContext?: object
  readonly volumeMounts?: ReadonlyArray<{ readonly name: string; readonly mountPath: string }>
}

export interface Pod {
  readonly serviceAccountName?: string
  readonly securityContext?: object
  readonly containers: ReadonlyArray<Container>
  readonly volumes?: ReadonlyArray<{
    readonly name: string
    readonly secret?: { readonly secretName: string }
    readonly configMap?: { readonly name: string }
  }>
}

/** What tests look at of an object of Kubernetes. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly data?: Readonly<Record<string, string>>
  // oxlint-disable-next-line no-explicit-any -- each kind has another shape: tests look at single fields of it
  readonly spec?: any
}

const execute = promisify(execFile)

/** @param folder relative to the project, or absolute */
export const rendered = async (folder: string): Promise<ReadonlyArray<Manifest>> => {
  const { stdout } = await execute(await findGoProgram("kubectl"), ["kustomize", resolve(projectFolder, folder)], {
    maxBuffer: 16 * 1024 * 1024
  })
  // kustomize prints objects of Kubernetes; that each has a kind and a name is what it checks itself.
  return parseAllDocuments(stdout).map((document) => document.toJS() as unknown as Manifest)
}

/** The pod templates of our programs. */
export const programPods = (
  manifests: ReadonlyArray<Manifest>
): ReadonlyArray<{ readonly owner: Manifest; readonly pod: Pod; readonly container: Container }> =>
  manifests.flatMap((owner) => {
    const pod: Pod | undefined = owner.spec?.template?.spec
    const container = pod?.containers.find(({ image }) => image.startsWith("activity:"))
    return pod === undefined || container === undefined ? [] : [{ owner, pod, container }]
  })
