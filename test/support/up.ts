/** A running `activity up` on free ports, in a folder of its own. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { parse } from "yaml"
import { type ChildProcess, startProgram } from "./childProcess.ts"
import { https, type HttpsAnswer, type HttpsOptions } from "./httpsJson.ts"

export interface Up {
  readonly process: ChildProcess
  readonly folder: string
  readonly endpoints: Endpoints
  readonly kubeconfig: string
  /** A request to the API as the admin. */
  readonly api: (path: string, options?: Partial<HttpsOptions>) => Promise<HttpsAnswer>
  /** Posts records, JSON texts, as one EventList. */
  readonly post: (records: ReadonlyArray<string>, cluster?: string) => Promise<HttpsAnswer>
}

export interface Endpoints {
  readonly api: string
  readonly audit: string
  readonly ops: string
  readonly nats: string
  readonly kubeconfig: string
}

export const freePorts = ["--api-listen", "127.0.0.1:0", "--audit-listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]

/** A test that counts records counts those that it sent. */
const unrecorded = ["--record-requests", "none"]

/** Starts and waits until it is ready (`endpoints.json` is written last). */
export const startUp = async (
  folder: string,
  options: { readonly flags?: ReadonlyArray<string>; readonly runtime?: "node" | "deno" } = {}
): Promise<Up> => {
  const process = startProgram(
    ["up", "--data", folder, ...freePorts, ...unrecorded, ...(options.flags ?? ["--no-demo"])],
    {
      runtime: options.runtime ?? "node"
    }
  )
  await process.waitForLine(/^Ready/m, 120_000)
  return connectUp(folder, process)
}

/** What `up` wrote in its folder, as a client. */
export const connectUp = (folder: string, process: ChildProcess): Up => {
  // Our own file, described in the guide of `up`.
  const endpoints = JSON.parse(readFileSync(join(folder, "endpoints.json"), "utf8")) as Endpoints
  const kubeconfig = join(folder, "kubeconfig")
  const config = parse(readFileSync(kubeconfig, "utf8"))
  const authority = Buffer.from(config.clusters[0].cluster["certificate-authority-data"], "base64").toString()
  const token: string = config.users[0].user.token
  const auditToken = readFileSync(join(folder, "audit-token"), "utf8").trim()
  return {
    process,
    folder,
    endpoints,
    kubeconfig,
    api: (path, more = {}) => https(`${endpoints.api}${path}`, { authority, token, ...more }),
    post: (records, cluster) =>
      https(`${endpoints.audit}${cluster === undefined ? "" : `/${cluster}`}`, {
        authority,
        token: auditToken,
        method: "POST",
        body: `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${records.join(",")}]}`
      })
  }
}
