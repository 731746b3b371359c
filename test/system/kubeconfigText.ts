/** The kubeconfig of one user: its certificate or token, for `--kubeconfig` and for webhooks alike. */
import { stringify } from "yaml"

export const base64 = (text: string): string => Buffer.from(text).toString("base64")

export const kubeconfigText = (of: {
  readonly url: string
  readonly authority: string
  readonly name: string
  readonly user: object
}): string =>
  stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server: of.url, "certificate-authority-data": base64(of.authority) } }],
    users: [{ name: of.name, user: of.user }],
    contexts: [{ name: "test", context: { cluster: "test", user: of.name } }],
    "current-context": "test"
  })
